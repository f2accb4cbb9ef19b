"""``tokenmeter alerts explain``: a leaked key's day as its lines had it, its band, and which model moved."""

from __future__ import annotations

import numpy as np
import pytest

from support.watched import TOKENS_CALL, World, billing
from tokenmeter.cli.alerts import board_of
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Alert
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.stack.alerts.chart import COLUMNS, ROWS, chart
from tokenmeter.stack.alerts.history import Day, day_of

BEGIN_S = 20_605 * 86400
DAYS = 2
LEAK = DAYS * 1440 - 60
CALLS = 50


@pytest.fixture(scope="module")
def leaked() -> tuple[World, Alert]:
    """A key of steady calls that leaks an hour before the end: a second model, forty times the calls."""
    chance = np.random.default_rng(1)
    world = World(Settings(), begin_s=BEGIN_S)
    for minute in range(DAYS * 1440):
        at_s = BEGIN_S + minute * 60
        lines = [billing(at_s, "acme", "key", int(chance.poisson(CALLS)))]
        if LEAK <= minute < LEAK + 3:
            lines.append(billing(at_s, "acme", "key", 40 * CALLS, model="author/large"))
        world.write(at_s, lines)
    world.owner().page(world.end())
    (alert,) = (Alert(**record) for record in world.alerts() if record["state"] == "OPEN")
    return world, alert


@pytest.fixture(scope="module")
def day(leaked: tuple[World, Alert]) -> Day:
    world, alert = leaked
    return day_of(world.log, alert)


def test_the_day_has_what_was_seen_the_band_around_it_and_what_moved(day: Day) -> None:
    assert len(day.buckets) == 1440
    over = np.flatnonzero(day.seen > day.spike)
    assert (day.buckets[over] - BEGIN_S // 60).tolist() == [LEAK, LEAK + 1, LEAK + 2]
    within = day.seen[:1000]
    assert (within < day.spike[:1000]).all()
    assert np.median(within) == pytest.approx(CALLS * TOKENS_CALL, rel=0.05)
    assert np.median(day.expected) == pytest.approx(CALLS * TOKENS_CALL, rel=0.2)
    assert day.movers[0][0] == "author/large" and day.movers[0][1] > 0.6


def test_the_chart_shows_the_leak_in_red_at_its_quarter_of_an_hour(day: Day) -> None:
    made = chart(day)
    first = made.plain.splitlines()[0][13:]
    at = np.flatnonzero(day.seen > day.spike)[0] * COLUMNS // len(day.buckets)
    assert first[at] == "█" and first.count("█") <= 2
    assert any(span.style == "red" for span in made.spans)
    assert len(made.plain.splitlines()) == ROWS + 2
    assert "logarithmic" in made.plain


def test_the_board_is_named_with_what_to_choose_there(leaked: tuple[World, Alert]) -> None:
    _, alert = leaked
    link = board_of("http://127.0.0.1:8088/", alert)
    assert link.startswith("board: http://127.0.0.1:8088/superset/dashboard/tokenmeter-alerts/; ")
    assert link.endswith(f"({alert.alert_id[:6]})")
    earlier = alert.model_copy(update={"band_expected": ()})
    assert board_of("http://h", earlier) == "board: http://h/superset/dashboard/tokenmeter-alerts/"


def test_what_is_no_anomaly_of_a_known_subject_has_no_day(leaked: tuple[World, Alert]) -> None:
    world, alert = leaked
    for other in (
        {"topic": "ledger.entries"},
        {"subject_kind": "group", "subject_id": "none"},
        {"subject_id": "unknown"},
    ):
        with pytest.raises(Misconfigured):
            day_of(world.log, alert.model_copy(update=other))


def test_a_group_is_the_sum_of_its_customers_and_names_who_moved(leaked: tuple[World, Alert], day: Day) -> None:
    world, alert = leaked
    at_s = BEGIN_S + DAYS * 86400 - 60
    whole = {"subject_kind": "group", "subject_id": "author/model", "account_id": ""}
    of_group = day_of(world.log, alert.model_copy(update=whole))
    assert of_group.seen.tolist() == day.seen.tolist() and of_group.movers == [("acme", 1.0)]
    world.write(at_s, [billing(at_s, "other", None, 10 * CALLS)])
    owner = world.owner()
    owner.processor._lines = 10**9  # the next page writes a checkpoint
    owner.page(world.end())
    both = day_of(world.log, alert.model_copy(update=whole))
    assert (both.seen - of_group.seen).sum() == 10 * CALLS * TOKENS_CALL
    assert {name for name, _ in both.movers} == {"acme", "other"} and (both.expected > of_group.expected).any()
