"""What is due for totals: which hours rows touch, in which order they are made, and that none is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tokenmeter.events.errors import Transient
from tokenmeter.flow.load.totals import ROUND_S, Remaker, touched
from tokenmeter.store.totals import DAY, HOUR, Due, days

NOW = datetime(2026, 11, 26, 9, 30, 15, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
TODAY = NOW_S - NOW_S % DAY


def frame(column: str, *ages: timedelta) -> pl.DataFrame:
    return pl.DataFrame({column: [NOW - age for age in ages]}, schema={column: pl.Datetime("us", "UTC")})


def test_rows_touch_the_minute_or_hour_they_are_in() -> None:
    minutes = touched("usage_events", frame("occurred_at", timedelta(0), timedelta(seconds=15.000001)), NOW_S)
    assert minutes == {("usage_events", NOW_S - 15), ("usage_events", NOW_S - 75)}
    assert touched("usage_market", frame("occurred_hour", timedelta(minutes=31)), NOW_S) == {
        ("usage_market", TODAY + 8 * HOUR)
    }
    assert touched("usage_pages", frame("closed_at", timedelta(0)), NOW_S) == set(), "no totals are made of pages"


def test_what_may_have_lost_rows_to_retention_is_not_made_again() -> None:
    assert touched("usage_events", frame("occurred_at", timedelta(days=31)), NOW_S) == set()
    assert touched("usage_market", frame("occurred_hour", timedelta(days=126)), NOW_S) == set()
    assert touched("usage_market", frame("occurred_hour", timedelta(days=100)), NOW_S) != set()


def test_buckets_go_by_utc_day() -> None:
    assert days([TODAY + HOUR, TODAY - HOUR, TODAY]) == [(TODAY - DAY, [TODAY - HOUR]), (TODAY, [TODAY, TODAY + HOUR])]


class Log:
    """A Totals that notes what it is asked; ``act`` runs within each remake."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, tuple[int, ...]]] = []
        self.left: dict[Due, float] = {}
        self.act = lambda: None

    def pending(self) -> dict[Due, float]:
        return self.left

    def remake(self, source: str, day: int, buckets: list[int]) -> None:
        self.asked.append((source, day, tuple(buckets)))
        self.act()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def remaker(clock: Clock) -> Remaker:
    def die(error: BaseException) -> None:
        raise AssertionError(error)

    return Remaker(Log, die, clock)


def test_the_hours_of_a_day_are_made_together_and_the_newest_day_first() -> None:
    made, one = Log(), remaker(Clock())
    one.add([("usage_market", TODAY + HOUR), ("usage_market", TODAY - HOUR), ("usage_market", TODAY)])
    one.add([("usage_market", TODAY)])
    one.make(made)
    assert made.asked == [
        ("usage_market", TODAY, (TODAY, TODAY + HOUR)),
        ("usage_market", TODAY - DAY, (TODAY - HOUR,)),
    ]
    assert one.health() == {"totals_due": 0, "totals_due_seconds": 0.0}
    one.make(made)
    assert len(made.asked) == 2, "nothing is due any more"


def test_what_arrives_while_its_totals_are_made_is_due_again() -> None:
    made, one = Log(), remaker(Clock())
    one.add([("usage_market", TODAY)])
    made.act = lambda: one.add([("usage_market", TODAY)])
    one.make(made)
    assert one.health()["totals_due"] == 1


def test_a_remake_that_fails_leaves_its_hours_due_and_as_old_as_they_were() -> None:
    clock, made = Clock(), Log()
    one = remaker(clock)
    one.add([("usage_market", TODAY)])
    clock.now = 7.0

    def fail() -> None:
        raise Transient("away")

    made.act = fail
    with pytest.raises(Transient):
        one.make(made)
    assert one.health() == {"totals_due": 1, "totals_due_seconds": 7.0}


def test_what_a_dead_loader_left_is_taken_up_with_its_age() -> None:
    made, one = Log(), remaker(Clock())
    made.left = {("usage_billing", TODAY): 42.0}
    one.look(made)
    assert one.health() == {"totals_due": 1, "totals_due_seconds": 42.0}
    one.make(made)
    assert made.asked == [("usage_billing", TODAY, (TODAY,))]


def test_a_long_backlog_does_not_keep_today_waiting() -> None:
    clock, made = Clock(), Log()
    one = remaker(clock)
    one.add(("usage_market", TODAY - number * DAY) for number in range(10))

    def take_long() -> None:
        clock.now += ROUND_S * 0.6

    made.act = take_long
    one.make(made)
    assert [day for _, day, _ in made.asked] == [TODAY, TODAY - DAY]
    one.add([("usage_market", TODAY)])
    one.make(made)
    assert [day for _, day, _ in made.asked[2:]] == [TODAY, TODAY - 2 * DAY], "today again, then the backlog goes on"
