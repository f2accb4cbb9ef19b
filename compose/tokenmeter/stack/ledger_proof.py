"""Whether the ledger adds up: what calls owe = charges on ledger.entries = what account.state says was charged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.contract import LEDGER
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import EntryKind
from tokenmeter.events.rating import pico
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.credit.read import states
from tokenmeter.stack.owed import CHARGE, RESALE

SETTLE_TIMEOUT_S = 60.0
POLL_S = 0.5

Row = tuple[str, int, int, int]
"""(currency, owed by customers and those above them, on ledger.entries, in account.state), in pico-units."""


def rows(owed: Mapping[str, int], client: Mapping[str, Any]) -> list[Row]:
    """One row a currency."""
    expected: Counter[str] = Counter()
    for name, amount in owed.items():
        kind, currency = name.split(" ")
        if kind in (CHARGE, RESALE):
            expected[currency] += amount
    log = KafkaLogReader(client)
    entries, charged = _entries(log), Counter[str]()
    for state in states(log).values():
        charged[state.currency] += pico(state.charged)
    return [(name, expected[name], entries[name], charged[name]) for name in sorted({*expected, *entries})]


def _entries(log: KafkaLogReader) -> Counter[str]:
    found: Counter[str] = Counter()
    for partition in range(log.partitions(LEDGER)):
        for batch in log.read(LEDGER, partition, 0, log.end(LEDGER, partition)):
            for value in batch.values:
                try:
                    entry = wire.decode(value, expect="ledger_entry").record
                except Poison:
                    continue  # it charges nobody
                if entry["kind"] == EntryKind.CHARGE and entry["scope"] is None and entry["amount"] is not None:
                    found[entry["currency"]] -= pico(entry["amount"])
    return found


def settle(owed: Mapping[str, int], client: Mapping[str, Any], tick: Callable[[], None]) -> list[Row]:
    """Add up again until all three agree or SETTLE_TIMEOUT_S have passed."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        found = rows(owed, client)
        if holds(found) or time.monotonic() > deadline:
            return found
        tick()
        time.sleep(POLL_S)


def holds(found: list[Row]) -> bool:
    """Whether every row agrees."""
    return all(len(set(row[1:])) == 1 for row in found)
