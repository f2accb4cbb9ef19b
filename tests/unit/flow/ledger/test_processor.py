"""The ledger on the page engine's terms: what a page carries, and what a new owner makes of what was committed."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from support.catalog_rows import account
from support.ledger_desk import NOON, Desk, budget, prepaid
from support.random_ledger import Journal, accounts, budgets
from support.topic_log import TopicLog
from tokenmeter.events import wire
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, CATALOG, LEDGER
from tokenmeter.events.errors import Fatal
from tokenmeter.events.ledger import LedgerEntry
from tokenmeter.flow.ledger.catalog import CatalogRows
from tokenmeter.flow.ledger.processor import LedgerProcessor
from tokenmeter.flow.page.page import Demand, PageBounds

EVIL = b"evil"
NOON_MS = round(NOON.timestamp() * 1_000)


class World:
    """A log, and a processor that meters it page by page; ``crash`` makes another that restores from the log."""

    def __init__(self, *rows: CatalogRow) -> None:
        self.log = TopicLog()
        self.position = 0
        self.catalog(*rows)
        self.crash()

    def catalog(self, *rows: CatalogRow) -> None:
        self.log.append(CATALOG, [row.row_id.encode() for row in rows], [row.to_value() for row in rows], NOON_MS)

    def crash(self) -> None:
        self.processor = LedgerProcessor(0, self.log, CatalogRows(self.log, lambda: 0.0, every_s=0.0))
        self.processor.restore(self.position)

    def write(self, *entries: LedgerEntry, at_ms: int = NOON_MS) -> None:
        self.log.append(
            LEDGER, [one.account_id.encode() for one in entries], [one.to_value() for one in entries], at_ms
        )

    def page(self, end: int | None = None, commit: bool = True) -> Demand:
        """Fold what is new up to ``end`` and close; a page that does not commit never happened."""
        bounds = PageBounds(LEDGER, 0, self.position, self.log.end(LEDGER, 0) if end is None else end)
        demand = self.processor.add(self.log.batch(LEDGER, bounds.first_offset, bounds.next_offset))
        outgoing = self.processor.close(bounds)
        if commit:
            self.log.commit(outgoing, NOON_MS)
            self.processor.committed(bounds)
            self.position = bounds.next_offset
        return demand

    def state(self, account_id: str = "c") -> dict[str, object]:
        states = [wire.decode(value).record for value in self.log.values(ACCOUNT_STATE) if value != EVIL]
        return [state for state in states if state["account_id"] == account_id][-1]


def test_a_page_that_alerts_asks_to_be_closed_at_once() -> None:
    world, desk = World(prepaid()), Desk()
    world.write(desk.entry("PAYMENT", 10))
    assert world.page() is Demand.NOTHING
    world.write(desk.charge(9))
    assert world.page() is Demand.CLOSE
    assert [wire.decode(value).record["threshold_percent"] for value in world.log.values(ALERTS)] == [50, 80]


@pytest.mark.parametrize("seed", range(4))
def test_a_ledger_that_crashes_anywhere_tells_every_alert_once_and_every_balance_exactly(seed: int) -> None:
    chance = random.Random(seed)
    rows = [*accounts(), *budgets()]
    # An expiry is written when a page closes, so that it comes at another time in each world: none here.
    drawn = [(entry.model_copy(update={"expires_at": None}), at) for entry, at in Journal(chance).draw(150)]
    quiet, crashing = World(*rows), World(*rows)
    for world in (quiet, crashing):
        for entry, at in drawn:
            world.write(entry, at_ms=round(at.timestamp() * 1_000))
            if world is quiet or chance.random() < 0.3:
                world.log.marker(LEDGER)
    quiet.page()
    while crashing.position < crashing.log.end(LEDGER, 0):
        end = min(crashing.log.end(LEDGER, 0), crashing.position + chance.randrange(1, 40))
        dies = chance.random() < 0.4
        crashing.page(end, commit=not dies)
        if dies or chance.random() < 0.3:
            if crashing.log.values(ACCOUNT_STATE) and chance.random() < 0.5:
                crashing.log.compact(ACCOUNT_STATE)
            crashing.crash()
    for one in accounts():
        calm, killed = (world.state(one.account_id) for world in (quiet, crashing))
        assert (calm["balance"], calm["alarms"]) == (killed["balance"], killed["alarms"])
    told = [sorted(wire.decode(v).record["alert_id"] for v in world.log.values(ALERTS)) for world in (quiet, crashing)]
    assert told[0] == told[1]


def test_a_restore_reads_over_markers_and_what_compaction_took() -> None:
    world, desk = World(prepaid()), Desk()
    world.write(desk.entry("PAYMENT", 10))
    world.page()
    for _ in range(3):
        world.write(desk.charge(1))
        world.page()
    world.log.compact(ACCOUNT_STATE)
    world.log.marker(ACCOUNT_STATE)
    world.crash()
    assert world.processor.remembered() == 1
    world.write(desk.charge(1))
    world.page()
    assert world.state()["balance"] == 6


def test_a_group_that_was_moved_back_stops_the_ledger() -> None:
    world, desk = World(prepaid()), Desk()
    world.write(desk.entry("PAYMENT", 10))
    world.page()
    world.position = 0
    with pytest.raises(Fatal, match="somebody moved the consumer group"):
        world.crash()


def test_a_new_limit_is_judged_before_the_next_entries_and_after_a_restart() -> None:
    world, desk = World(account("c", credit_limit=Decimal(10))), Desk()
    world.write(desk.charge(10))
    world.page()
    assert world.state()["reason"] == "exhausted"
    world.catalog(account("c", credit_limit=Decimal(100), effective_from=NOON - timedelta(hours=1)))
    world.crash()
    world.write(desk.charge(1, "other"))
    world.page()
    assert world.state()["reason"] == "ok"
    written = len(world.log.values(ACCOUNT_STATE))
    world.crash()
    world.write(desk.charge(1, "other"))
    world.page()
    assert len(world.log.values(ACCOUNT_STATE)) == written + 1


def test_a_row_of_the_catalog_takes_effect_at_its_time() -> None:
    later = account("c", credit_limit=Decimal(1), effective_from=NOON + timedelta(hours=1))
    world, desk = World(account("c", credit_limit=Decimal(100)), later, budget("c", "ACCOUNT", "c", "DAY", 50)), Desk()
    world.write(desk.charge(2))
    world.page()
    assert world.state()["allowed"] is True
    world.write(desk.charge(0, "other"), at_ms=NOON_MS + 3_600_000)
    assert world.page() is Demand.CLOSE
    assert world.state()["reason"] == "exhausted"


@pytest.mark.parametrize("cut", [[1, 2, 3, 4], [4], [3, 4]])
def test_a_row_that_takes_effect_within_a_batch_is_in_force_from_its_own_time_on(cut: list[int]) -> None:
    """However the entries are cut into batches: the budget begins with the third, whose alert is told."""
    begins = NOON + timedelta(hours=1)
    daily = budget("c", "ACCOUNT", "c", "DAY", 10).model_copy(update={"effective_from": begins, "row_id": ""})
    daily = type(daily)(**{name: value for name, value in daily.__dict__.items() if name != "row_id"})
    world, desk = World(daily), Desk()
    for minutes, amount in ((0, 3), (59, 4), (60, 5), (61, 1)):
        world.write(desk.charge(amount), at_ms=NOON_MS + minutes * 60_000)
    for end in cut:
        world.page(end)
    assert [one["spent"] for one in world.state()["windows"]] == [6]  # type: ignore[attr-defined]
    assert [wire.decode(value).record["threshold_percent"] for value in world.log.values(ALERTS)] == [50]


def test_an_expiry_is_written_once_even_if_the_ledger_dies_with_it() -> None:
    world, desk = World(prepaid()), Desk()
    world.write(desk.entry("GRANT", 10, expires_at=NOON + timedelta(minutes=1)), desk.charge(4))
    world.page()
    world.write(desk.charge(1), at_ms=NOON_MS + 60_000)
    world.page(commit=False)
    world.crash()
    world.page()
    world.crash()
    world.page()
    kinds = [wire.decode(value).record["kind"] for value in world.log.values(LEDGER)]
    assert kinds == ["GRANT", "CHARGE", "CHARGE", "EXPIRY"]
    assert (world.state()["balance"], world.state()["reason"]) == (0, "expired")


def test_what_is_no_entry_is_told_with_its_place_and_harms_no_other() -> None:
    world, desk = World(prepaid()), Desk()
    world.write(desk.entry("PAYMENT", 10))
    world.log.append(LEDGER, [b"c"], [b"\x00\x00\x00\x00\x13damage"], NOON_MS)
    assert world.page() is Demand.CLOSE
    [alert] = [wire.decode(value).record for value in world.log.values(ALERTS)]
    assert (alert["kind"], alert["subject_id"]) == ("invalid", "ledger.entries/0@1")
    assert world.state()["balance"] == 10


def test_strangers_records_on_the_topics_a_ledger_restores_from_change_no_balance_and_are_alerted() -> None:
    honest, spoilt, desk = World(prepaid()), World(prepaid()), Desk()
    before, after = desk.entry("PAYMENT", 10), desk.charge(3)
    for world in (honest, spoilt):
        world.write(before)
        world.page()
    for topic in (ACCOUNT_STATE, CATALOG):
        spoilt.log.append(topic, [b"who"], [EVIL], NOON_MS)
    for world in (honest, spoilt):
        world.crash()
        world.write(after)
        world.page()
    states = [{name: one for name, one in world.state().items() if name != "as_of"} for world in (honest, spoilt)]
    assert states[0] == states[1]
    assert honest.log.values(ALERTS) == []
    told = [wire.decode(value).record for value in spoilt.log.values(ALERTS)]
    assert [(one["kind"], one["topic"], one["severity"]) for one in told] == [("invalid", ACCOUNT_STATE, "CRITICAL")]
