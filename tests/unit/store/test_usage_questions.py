"""A question about usage: its period, what it refuses, and up to when an answer is complete."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.usage import Question, cut_days
from tokenmeter.store.usage_loaded import Page, judged
from tokenmeter.store.usage_period import period

NOW = datetime(2026, 11, 26, 18, 20, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, (MIDNIGHT, datetime(2026, 11, 26, 20, tzinfo=UTC))),
        ("7d", "2h", (datetime(2026, 11, 19, 18, tzinfo=UTC), datetime(2026, 11, 26, 16, tzinfo=UTC))),
        ("2026-10-01", "2026-10-02T05:00", (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, 5, tzinfo=UTC))),
        ("2026-10-01T02:00+02:00", None, (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 26, 20, tzinfo=UTC))),
    ],
)
def test_a_period_is_read_in_utc(since: str | None, until: str | None, expected: tuple[datetime, datetime]) -> None:
    assert period(since, until, NOW) == expected


def test_what_cannot_be_answered_to_the_call_is_refused_with_what_can() -> None:
    for since, until, by, words in [
        (MIDNIGHT + timedelta(minutes=5), NOW, (), "2026-11-01T00:00 or 2026-11-01T01:00"),
        (MIDNIGHT, MIDNIGHT, (), "no hour"),
        (MIDNIGHT, MIDNIGHT + timedelta(days=1), ("colour",), "day, project, key, model"),
    ]:
        with pytest.raises(Misconfigured) as refused:
            Question("c", since, until, by)
        assert words in str(refused.value)
    with pytest.raises(Misconfigured, match="no time"):
        period("yesterday", None, NOW)


def test_days_that_a_period_cuts_come_from_lines() -> None:
    hour = timedelta(hours=1)
    day = 24 * hour
    assert cut_days(MIDNIGHT, MIDNIGHT + 3 * day) == set()
    assert cut_days(MIDNIGHT + hour, MIDNIGHT + 3 * day) == {date(2026, 11, 1)}
    assert cut_days(MIDNIGHT, MIDNIGHT + 3 * day + hour) == {date(2026, 11, 4)}
    assert cut_days(MIDNIGHT + hour, MIDNIGHT + 2 * hour) == {date(2026, 11, 1)}


def test_an_answer_is_complete_up_to_the_last_page_before_one_that_lacks_lines() -> None:
    whole = [Page(0, at(9), 5, 5), Page(0, at(8), 0, 0), Page(1, at(7), 2, 2)]
    assert judged(whole, NOW).complete_until == at(8)
    lacking = [*whole[:2], Page(0, at(6), 3, 2), Page(0, at(5), 3, 3), whole[2]]
    assert judged(lacking, NOW).complete_until == at(8), "a whole page behind a torn one does not count"
    assert judged([Page(0, at(6), 3, 2), whole[2]], NOW).complete_until is None
    assert judged([], NOW).complete_until is None


def test_lines_too_old_to_be_kept_are_not_missed() -> None:
    old = Page(0, NOW - timedelta(days=200), 5, 0)
    assert judged([old], NOW).complete_until == old.closed_at


def test_what_kafka_knows_moves_the_time_or_takes_it_away() -> None:
    pages = [Page(0, at(90), 5, 5), Page(1, at(7), 2, 2)]
    assert judged(pages, NOW).complete_until == at(90)
    assert judged(pages, NOW, {0: NOW, 1: None}).complete_until == at(7), "nothing was metered on 0 since"
    assert judged(pages, NOW, {0: NOW, 1: NOW, 2: NOW}).complete_until == NOW
    assert judged(pages, NOW, {0: NOW, 1: NOW, 2: None}).complete_until is None, "no page of 2 was ever loaded"
    torn = [Page(0, at(9), 5, 4), pages[1]]
    assert judged(torn, NOW, {0: NOW, 1: NOW}).complete_until is None, "its page is read, its lines are not in"
