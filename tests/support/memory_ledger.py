"""A ledger on a partition in memory: the real processor and steps, and an owner that may die or be fenced anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from support.ledger_desk import NOON, prepaid
from support.memory_log import Broker, MemoryDriver, Owner
from support.topic_log import TopicLog
from tokenmeter.events import wire
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, CATALOG, LEDGER
from tokenmeter.events.ledger import LedgerEntry, charge_id
from tokenmeter.flow.ledger.catalog import CatalogRows
from tokenmeter.flow.ledger.processor import LedgerProcessor
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import Outgoing, PageBounds

AT_MS = round(NOON.timestamp() * 1_000)
PAGE_ENTRIES = 2


def entry(kind: str, entry_id: str, amount: int, **fields: Any) -> LedgerEntry:
    named = {"account_id": "a", "entry_id": entry_id, "kind": kind, "amount": Decimal(amount)}
    return LedgerEntry(**named, made_at=NOON, made_by="test", **fields)


def charge(page: int, amount: int) -> LedgerEntry:
    day = NOON - timedelta(hours=12)
    placed = {"partition": 0, "first_offset": page, "last_offset": page, "line": 0, "calls": 1}
    return entry("CHARGE", charge_id(0, page, 0), -amount, occurred_day=day, **placed)


JOURNAL = [
    entry("GRANT", "g", 10),
    charge(0, 8),
    entry("GRANT", "g", 10),
    charge(0, 8),
    entry("PAYMENT", "p", 10),
    charge(1, 12),
    entry("GRANT", "g", 11),
    entry("PAYMENT", "p", 10),
]
"""Crosses 50 and 80 %, is sent again, recovers by a payment, crosses all four, and then one id has another amount."""
BALANCE = Decimal(0)
TOLD = Counter({"50": 2, "80": 2, "resolved": 1, "95": 1, "100": 1, "conflict": 1})
END = len(JOURNAL)
EFFECTS = 3 + 6 * (END // PAGE_ENTRIES)
"""From taking the partition to its end."""


@dataclass
class LedgerBroker(Broker):
    """``log`` has what a read_committed reader sees of every topic."""

    log: TopicLog = field(default_factory=TopicLog)

    def __post_init__(self) -> None:
        row = prepaid("a")
        self.log.append(CATALOG, [row.row_id.encode()], [row.to_value()], AT_MS)
        self.log.append(LEDGER, [b"a"] * END, [one.to_value() for one in JOURNAL], AT_MS)

    def problems(self) -> list[str]:
        """What is wrong with the balance and the alerts."""
        states = [wire.decode(value).record for value in self.log.values(ACCOUNT_STATE)]
        alerts = [wire.decode(value).record for value in self.log.values(ALERTS)]
        told = Counter(str(one["threshold_percent"]) if one["threshold_percent"] else one["kind"] for one in alerts)
        found = []
        if not states or states[-1]["balance"] != BALANCE:
            found.append(f"balance {states[-1]['balance'] if states else None}")
        if told != TOLD:
            found.append(f"told {dict(told)}")
        if len({one["alert_id"] for one in alerts}) < len(alerts):
            found.append("an alert is there twice")
        return found


class LedgerDriver(MemoryDriver):
    """Commits what the processor has made to the broker's topics."""

    def __init__(self, broker: LedgerBroker, outside: bool = False) -> None:
        super().__init__(broker, outside)
        self._log = broker.log
        self._records: list[Outgoing] = []

    def perform(self, effect: steps.Effect) -> Any:
        match effect:
            case steps.Begin():
                self._records = []
            case steps.Produce(outgoing):
                self.require_owner()
                self._records += outgoing
                return None
            case steps.Commit():
                self.require_owner()
                self._log.commit(self._records, AT_MS)
        return super().perform(effect)


def ledger_owner(broker: LedgerBroker, outside: bool = False, **hooks: Any) -> Owner:
    """One that may die; see Owner."""
    processor = LedgerProcessor(0, broker.log, CatalogRows(broker.log, lambda: 0.0))
    return Owner(LedgerDriver(broker, outside), processor, **hooks)


def life(broker: LedgerBroker, owner: Owner) -> Iterator[steps.Effect]:
    """One owner from taking the partition to the end of the journal, an effect at a time."""

    def drive(generator: steps.Steps) -> Any:
        answer = None
        while True:
            try:
                effect = generator.send(answer)
            except StopIteration as stop:
                return stop.value
            yield effect
            answer = owner.perform(effect)

    position = (yield from drive(steps.own())).next_offset
    while position < END:
        bounds = PageBounds(LEDGER, 0, position, position + PAGE_ENTRIES)
        owner.processor.add(broker.log.batch(LEDGER, bounds.first_offset, bounds.next_offset))
        yield from drive(steps.commit(bounds))
        position = bounds.next_offset
