"""A distributor over a thousand customers on all partitions: meters charge it once a page, and its balance is exact.

Meters of four partitions and the ledger of one are the real ones; only Kafka is in memory. The same check must find a
meter that charges the distributor once for every call.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from support.catalog_rows import account, book, plan, price
from support.events import event
from support.ledger_desk import prepaid
from support.topic_log import TopicLog
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent, wire
from tokenmeter.events.contract import EVENTS, LEDGER
from tokenmeter.events.ledger import LedgerEntry
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import MemoryTerms
from tokenmeter.flow.meter import MeterProcessor, close
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.kafka.logreader import Wanted, any_value
from tokenmeter.kafka.partitioner import partition_of

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1_000)
CUSTOMERS = 1_000
PARTITIONS = 4
PAGES = 2
CALLS = 3
"""Of each customer on each page."""
PAID = Decimal(1_000)

DISTRIBUTOR = prepaid("distributor", plan_id="wholesale")
ROWS = [
    price("*", 7_000_001),
    plan("wholesale", margin_ppm=-300_000),
    plan("resold", None, margin_ppm=55_000),
    DISTRIBUTOR,
    *(account(f"customer-{number}", "resold", "distributor") for number in range(CUSTOMERS)),
]


class Log(TopicLog):
    """One partition of several, empty so far."""

    def partitions(self, topic: str) -> int:
        return PARTITIONS

    def last(self, topic: str, partition: int, before: int | None = None, wanted: Wanted = any_value) -> None:
        return None


class Rates:
    """Always the same catalog."""

    def __init__(self) -> None:
        self._rater = BookRater(book(*ROWS))

    def current(self) -> BookRater:
        return self._rater


def calls(page: int) -> list[UsageEvent]:
    return [
        event(
            number,
            event_id=f"{page}-{number}",
            customer_id=f"customer-{number % CUSTOMERS}",
            occurred_at=NOW - timedelta(minutes=1),
            status=200,
        )
        for number in range(CUSTOMERS * CALLS)
    ]


def entries_of(made: list[list[UsageEvent]]) -> list[bytes]:
    """What the meters write to ledger.entries for pages of calls, partition by partition."""
    rates, entries = Rates(), []
    for partition in range(PARTITIONS):
        log = Log()
        one = MeterProcessor(partition, log, lambda: NOW, "meter", rates=rates)  # type: ignore[arg-type]
        one.restore(0)
        for page in made:
            mine = [call for call in page if partition_of(call.customer_id, PARTITIONS) == partition]
            first = log.end(EVENTS, 0)
            log.append(EVENTS, [None] * len(mine), [wire.encode("usage_event", c.to_record()) for c in mine], NOW_MS)
            one.add(log.batch(EVENTS, first, log.end(EVENTS, 0)))
            bounds = PageBounds(EVENTS, partition, first, log.end(EVENTS, 0))
            entries += [value for out in one.close(bounds) if out.topic == LEDGER for value in out.values]
            one.committed(bounds)
    return entries


def booked(entries: list[bytes]) -> dict[str, Any]:
    """The distributor's state once a ledger has booked a payment and these entries."""
    ledger = Ledger(MemoryTerms([DISTRIBUTOR]))
    made = {"account_id": "distributor", "entry_id": "p", "kind": "PAYMENT", "amount": PAID}
    values = [LedgerEntry(**made, made_at=NOW, made_by="test").to_value(), *entries]
    times = pl.repeat(NOW_MS, len(values), dtype=pl.Int64, eager=True).to_numpy()
    _, rejected = ledger.fold(values, times, pl.int_range(len(values), eager=True).to_numpy())
    assert not rejected
    states = dict(zip(*ledger.close(len(values)), strict=True))
    return wire.decode(states["distributor"]).record


def problems(made: list[list[UsageEvent]]) -> list[str]:
    """Where the distributor's account is not what its customers' calls make it."""
    entries = entries_of(made)
    charges = Charges(enumerate(ROWS))
    owed = 0
    for call in (one for page in made for one in page):
        [level] = charges.rating_of_event(call.to_record()).levels
        owed += charges.charge(level.price_id, {**call.to_record(), "events": 1, "errors": 0}) or 0
    own = [entry for entry in map(_record, entries) if entry["account_id"] == "distributor"]
    state = booked(entries)
    wrong = []
    if state["balance"] != PAID - Decimal(owed).scaleb(-12):
        wrong.append(f"balance {state['balance']}, its customers' calls cost it {owed} pico")
    if len(own) != PAGES * PARTITIONS:
        wrong.append(f"{len(own)} entries for {PAGES * PARTITIONS} pages")
    if (sum(entry["calls"] for entry in own), state["calls"]) != (len(made) * len(made[0]),) * 2:
        wrong.append(f"{state['calls']} calls")
    others = len(entries) - len(own)
    if others != PAGES * CUSTOMERS:
        wrong.append(f"{others} entries of customers")
    return wrong


def _record(value: bytes) -> dict[str, Any]:
    return wire.decode(value).record


def test_a_page_charges_a_distributor_once_and_its_balance_is_exact_to_the_last_pico() -> None:
    made = [calls(page) for page in range(PAGES)]
    assert {partition_of(call.customer_id, PARTITIONS) for call in made[0]} == set(range(PARTITIONS))
    assert problems(made) == []


def test_the_same_check_finds_a_meter_that_charges_a_distributor_for_each_customer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = close.entries

    def each(made: Any, users: Any, rater: Any, written: Any) -> pl.DataFrame:
        """The distributor's entry, again for every customer below it."""
        frame = real(made, users, rater, written)
        above = frame.filter(pl.col("account_id") == "distributor")
        return pl.concat([frame, *[above] * (frame.height - 2)])

    monkeypatch.setattr(close, "entries", each)
    assert problems([calls(0)])
