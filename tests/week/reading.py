"""What the log, the lines, the journal and the store hold, record by record, as any consumer would read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.events import decode
from tokenmeter.events.contract import BILLING, EVENTS, LEDGER, QUARANTINE
from tokenmeter.events.rating import pico
from tokenmeter.kafka.logreader import KafkaLogReader
from week.verdict import Found

_RAW = "SELECT customer_id, count() FROM tokenmeter.usage_events FINAL GROUP BY customer_id"
_LINES = "SELECT customer_id, sum(events), sum(charge) FROM tokenmeter.usage_billing FINAL GROUP BY customer_id"
_BOOKED = (
    "SELECT account_id, sum(calls), -sum(amount) FROM tokenmeter.ledger_entries FINAL "
    "WHERE kind = 'CHARGE' AND scope IS NULL GROUP BY account_id"
)
_ASIDE = "SELECT customer_id, reason, uniqExact(event_id) FROM tokenmeter.quarantine FINAL GROUP BY customer_id, reason"


def records(client: Mapping[str, Any], topic: str) -> Iterator[dict[str, Any]]:
    """Every committed record of a topic."""
    log = KafkaLogReader(client)
    for partition in range(log.partitions(topic)):
        for batch in log.read(topic, partition, 0, log.end(topic, partition)):
            for value in batch.values:
                if value is not None:
                    yield decode(value).record


def of_topics(client: Mapping[str, Any]) -> Found:
    """What the topics hold."""
    found = Found()
    ids = {(one["customer_id"], one["event_id"]) for one in records(client, EVENTS)}
    found.log = Counter(customer for customer, _ in ids)
    for topic in (BILLING, LEDGER):
        found.calls[topic], found.money[topic] = Counter(), Counter()
    calls, money = found.calls[BILLING], found.money[BILLING]
    for line in records(client, BILLING):
        calls[line["customer_id"]] += line["events"]
        money[line["customer_id"]] += _pico(line["charge"])
    calls, money = found.calls[LEDGER], found.money[LEDGER]
    for entry in records(client, LEDGER):
        if entry["kind"] == "CHARGE" and entry["scope"] is None:
            calls[entry["account_id"]] += entry["calls"]
            money[entry["account_id"]] -= _pico(entry["amount"])
    aside = {(one["customer_id"], one["reason"], one["event_id"]) for one in records(client, QUARANTINE)}
    found.aside[QUARANTINE] = Counter((customer, reason) for customer, reason, _ in aside)
    return found


def of_store(client: Client) -> Found:
    """What ClickHouse holds."""
    found = Found()
    raw = client.query(_RAW).result_rows
    found.calls["ClickHouse usage_events"] = Counter({row[0]: row[1] for row in raw})
    for place, query in (("ClickHouse usage_billing", _LINES), ("ClickHouse ledger_entries", _BOOKED)):
        rows = client.query(query).result_rows
        found.calls[place] = Counter({row[0]: row[1] for row in rows})
        found.money[place] = Counter({row[0]: _pico(row[2]) for row in rows})
    rows = client.query(_ASIDE).result_rows
    found.aside["ClickHouse quarantine"] = Counter({(row[0], row[1]): row[2] for row in rows})
    return found


def _pico(amount: Any) -> int:
    return 0 if amount is None else pico(amount)
