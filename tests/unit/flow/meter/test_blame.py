"""Whoever's events are put aside is told of once an hour; who has a bad event now and then is not."""

from __future__ import annotations

from tokenmeter.events.ledger import Alert
from tokenmeter.flow.meter.blame import BLAMED_EVENTS, BLAMED_MAX, HOUR_MS, Blame

AT = 1_000 * HOUR_MS


def told(blame: Blame) -> list[tuple[str, str, int]]:
    return [(one.subject_kind, one.subject_id, int(one.seen or 0)) for one in blame.take()]


def add(blame: Blame, events: int, customer: str | None = "c", source: str = "s", at_ms: int = AT) -> None:
    for offset in range(events):
        blame.add("early", customer, source, offset, at_ms)


def test_a_customer_is_told_of_once_an_hour_however_many_pages_it_takes() -> None:
    blame = Blame(0)
    for _ in range(BLAMED_EVENTS - 1):
        add(blame, 1)
        assert told(blame) == []
    add(blame, 1)
    assert told(blame) == [("customer", "c", BLAMED_EVENTS)]
    add(blame, 1_000)
    assert told(blame) == []
    add(blame, BLAMED_EVENTS, at_ms=AT + HOUR_MS)
    assert told(blame) == [("customer", "c", BLAMED_EVENTS)]


def test_a_source_of_several_customers_is_told_of_as_one() -> None:
    blame = Blame(0)
    for number in range(BLAMED_EVENTS):
        add(blame, 1, customer=f"c{number % 3}")
    assert told(blame) == [("source", "s", BLAMED_EVENTS)]


def test_what_nobody_can_read_is_nobodys() -> None:
    blame = Blame(0)
    add(blame, 100, customer=None)
    assert told(blame) == []


def test_the_same_fact_has_the_same_id_after_a_restart_and_another_hour_another() -> None:
    ids = []
    for at_ms in (AT, AT, AT + HOUR_MS):
        blame = Blame(0)
        add(blame, BLAMED_EVENTS, at_ms=at_ms)
        (alert,) = blame.take()
        assert Alert.model_validate(alert.__dict__) == alert and alert.to_value()
        assert "not billed (next: tokenmeter quarantine list --reason early)" in alert.sentence
        ids.append(alert.alert_id)
    assert ids[0] == ids[1] != ids[2]


def test_what_is_counted_is_bounded() -> None:
    blame = Blame(0)
    for number in range(BLAMED_MAX + 100):
        add(blame, 1, customer=f"c{number}", source="")
    assert len(blame._counts) == BLAMED_MAX
