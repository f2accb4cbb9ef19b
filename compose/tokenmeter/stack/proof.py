"""The demo's table: what was sent, metered, put on usage.billing and stored must be the same, to the token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaError, TopicPartition
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tokenmeter.emit.replay import Sent
from tokenmeter.events.contract import BILLING, PAGES, QUANTITY_FIELDS
from tokenmeter.events.wire import decode
from tokenmeter.store.queries import totals

READ_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 180.0
POLL_S = 0.5


def topic_totals(client: Mapping[str, Any], topic: str) -> dict[str, int]:
    """Sum a topic of lines or pages as any consumer would: read committed, beginning to end, record by record."""
    consumer = Consumer(
        {
            **client,
            "group.id": "tokenmeter-proof",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    sums = dict.fromkeys(("events", "duplicates", "quarantined", *QUANTITY_FIELDS), 0)
    try:
        partitions = list(consumer.list_topics(topic, READ_TIMEOUT_S).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        ended: set[int] = set()
        while len(ended) < len(partitions):
            for message in consumer.consume(5_000, READ_TIMEOUT_S):
                error = message.error()
                if error is None:
                    record = decode(message.value()).record
                    for name in sums:
                        sums[name] += record.get(name, 0)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(int(message.partition() or 0))
    finally:
        consumer.close()
    return sums


@dataclass(frozen=True)
class Proof:
    """The four places; ``rows`` are (what, sent, metered, on usage.billing, in ClickHouse)."""

    rows: tuple[tuple[str, int, int, int, int], ...]
    duplicates: tuple[int, int]

    @property
    def holds(self) -> bool:
        return self.duplicates[0] == self.duplicates[1] and all(len(set(row[1:])) == 1 for row in self.rows)

    def table(self) -> Table:
        """For a terminal."""
        # Narrow enough for 80 columns: a figure that is cut off proves nothing.
        table = Table(title="sent = metered = on usage.billing = in ClickHouse", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("", "sent", "metered", "on billing", "ClickHouse", " "):
            table.add_column(name, justify="left" if not name.strip() else "right", overflow="fold")
        for name, *places in self.rows:
            table.add_row(name, *(f"{place:,}" for place in places), "equal" if len(set(places)) == 1 else "DIFFERENT")
        sent, metered = self.duplicates
        table.add_row("duplicates", f"{sent:,}", f"{metered:,}", "", "", "equal" if sent == metered else "DIFFERENT")
        return table


def prove(sent: Sent, client: Mapping[str, Any], clickhouse: Client) -> Proof:
    """Read all four places once."""
    pages, billing = topic_totals(client, PAGES), topic_totals(client, BILLING)
    stored = totals(clickhouse, "events")
    expected = {"events": sent.events, **sent.sums}
    names = [name for name in ("events", *QUANTITY_FIELDS) if any(p[name] for p in (expected, pages, billing, stored))]
    rows = tuple((name, expected[name], pages[name], billing[name], stored[name]) for name in names)
    return Proof(rows, (sent.repeats, pages["duplicates"]))


def settle(sent: Sent, client: Mapping[str, Any], clickhouse: Client, tick: Callable[[], None] = lambda: None) -> Proof:
    """Prove again until it holds or SETTLE_TIMEOUT_S have passed; the last proof is returned either way."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        proof = prove(sent, client, clickhouse)
        if proof.holds or time.monotonic() > deadline:
            return proof
        tick()
        time.sleep(POLL_S)
