"""What ClickHouse must hold, given what was sent and what the topics say: ids as sets, every figure exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clickhouse_connect.driver.client import Client

from support.broker import read_all
from support.oracle import Verdict, by_ids
from support.recount import wrong_totals
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import BILLING, MARKET, PAGES, QUANTITY_FIELDS
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.store.statement import totals

TOTALS_SHOWN = 3


def stored(client: Client, bootstrap: str, sent: Iterable[UsageEvent]) -> Verdict:
    """The raw rows by id, the sums of the lines and pages against those of their topics, and every total recounted."""
    rows = client.query(
        "SELECT customer_id, count() FROM tokenmeter.usage_events FINAL GROUP BY customer_id"
    ).result_rows
    wrong = []
    for topic in (BILLING, MARKET, PAGES):
        records = [decode(record.value).record for record in read_all(bootstrap, topic)]
        table = totals(client, TABLES[topic][1].removeprefix("usage_"))
        for field in ("events", *QUANTITY_FIELDS):
            expected = sum(record[field] for record in records)
            if table.get(field, expected) != expected:
                wrong.append(f"{topic}.{field}: {expected} on the topic, {table[field]} stored")
    wrong += wrong_totals(client)[:TOTALS_SHOWN]
    counted: Counter[str] = Counter({row[0]: row[1] for row in rows})
    return by_ids((one.customer_id for one in sent), counted) | Verdict(wrong=tuple(wrong))
