"""The demo's table: what was sent, metered, put on usage.billing and stored must be the same, to the token."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tokenmeter.emit.replay.replay import Sent
from tokenmeter.events.contract import BILLING, PAGES, QUANTITY_FIELDS
from tokenmeter.events.contract import RESALE as RESALE_TOPIC
from tokenmeter.events.rating import amount, pico
from tokenmeter.events.wire import decode
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.owed import CHARGE, COST, RESALE
from tokenmeter.store.statement import money, totals

SETTLE_TIMEOUT_S = 180.0
POLL_S = 0.5


COUNTED: tuple[str, ...] = ("events", "duplicates", "quarantined", "unpriced", *QUANTITY_FIELDS)
_BILLED = ((CHARGE, "charge", "currency"), (COST, "cost", "cost_currency"))
MONEY = {PAGES: _BILLED, BILLING: _BILLED, RESALE_TOPIC: ((RESALE, "charge", "currency"),)}
"""Of each topic: (kind, field with the amount, field with its currency)."""


def topic_totals(client: Mapping[str, Any], topic: str) -> dict[str, int]:
    """Sum a topic of lines or pages as any consumer would: read committed, beginning to end, record by record.

    Money is in pico-units under its kind and currency, e.g. ``charge USD``.
    """
    sums: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    log = KafkaLogReader(client)
    for partition in range(log.partitions(topic)):
        for batch in log.read(topic, partition, 0, log.end(topic, partition)):
            for value in batch.values:
                record = decode(value).record
                for name in COUNTED:
                    sums[name] += record.get(name, 0)
                for kind, field, currency in MONEY[topic]:
                    if record[field] and record[currency]:
                        sums[f"{kind} {record[currency]}"] += pico(record[field])
    return sums


Row = tuple[str, int, int | None, int, int]


@dataclass(frozen=True)
class Proof:
    """The four places; ``rows`` are (what, sent, metered, on usage.billing, in ClickHouse), None where a place does not
    say it. What resellers owe is on usage.resale, and no page has its sum."""

    rows: tuple[Row, ...]
    duplicates: tuple[int, int]

    @property
    def holds(self) -> bool:
        return self.duplicates[0] == self.duplicates[1] and all(_agree(row[1:]) for row in self.rows)

    def table(self) -> Table:
        """For a terminal."""
        # Narrow enough for 80 columns: a figure that is cut off proves nothing.
        title = "sent = metered = on usage.billing = in ClickHouse"
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for name in ("", "sent", "metered", "on billing", "ClickHouse", " "):
            table.add_column(name, justify="left" if not name.strip() else "right", overflow="fold")
        for name, *places in self.rows:
            verdict = "equal" if _agree(places) else "DIFFERENT"
            table.add_row(name, *(_shown(name, place) for place in places), verdict)
        sent, metered = self.duplicates
        table.add_row("duplicates", f"{sent:,}", f"{metered:,}", "", "", "equal" if sent == metered else "DIFFERENT")
        return table


def _agree(places: Iterable[int | None]) -> bool:
    return len({place for place in places if place is not None}) == 1


def _shown(name: str, figure: int | None) -> str:
    if figure is None:
        return ""
    return f"{amount(figure):,.6f}" if name.startswith((CHARGE, COST, RESALE)) else f"{figure:,}"


def prove(sent: Sent, owed: Mapping[str, int], client: Mapping[str, Any], clickhouse: Client) -> Proof:
    """Read all four places once. ``owed``: pico-units by kind and currency, as ``Owed`` adds them up."""
    pages, billing, resale = (topic_totals(client, topic) for topic in (PAGES, BILLING, RESALE_TOPIC))
    stored, stored_money = totals(clickhouse, "events"), money(clickhouse)
    expected = {"events": sent.events, **sent.sums}
    names = [name for name in ("events", *QUANTITY_FIELDS) if any(p[name] for p in (expected, pages, billing, stored))]
    rows: list[Row] = [(name, expected[name], pages[name], billing[name], stored[name]) for name in names]
    for name in sorted({*owed, *stored_money}):
        of_resale = name.startswith(RESALE)
        metered = None if of_resale else pages.get(name, 0)
        on_topic = (resale if of_resale else billing).get(name, 0)
        rows.append((name, owed.get(name, 0), metered, on_topic, stored_money.get(name, 0)))
    return Proof(tuple(rows), (sent.repeats, pages["duplicates"]))


def settle(
    sent: Sent,
    owed: Mapping[str, int],
    client: Mapping[str, Any],
    clickhouse: Client,
    tick: Callable[[], None] = lambda: None,
) -> Proof:
    """Prove again until it holds or SETTLE_TIMEOUT_S have passed; the last proof is returned either way."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    # The store is last in line. Reading three topics record by record while it is behind would only take its CPU.
    while totals(clickhouse, "events")["events"] < sent.events and time.monotonic() < deadline:
        tick()
        time.sleep(POLL_S)
    while True:
        proof = prove(sent, owed, client, clickhouse)
        if proof.holds or time.monotonic() > deadline:
            return proof
        tick()
        time.sleep(POLL_S)
