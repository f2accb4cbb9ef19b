"""What the lines on the topics and in ClickHouse charge, in pico-units, as the audit's oracle would have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer

from support.broker import read_all
from support.rated_pages import COUNTS, FLAGS, Totals, billing, counts_of, market, usage_key, without_zeros
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.access import SILENT
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import BILLING, CATALOG, MARKET, RESALE
from tokenmeter.events.lines import BILLING_USAGE_KEYS, MARKET_KEYS
from tokenmeter.events.rating import Rating, pico

TABLES = {BILLING: "usage_billing", MARKET: "usage_market", RESALE: "usage_resale"}
_RESALE_KEYS = ("account_id", "level", "customer_id", "model", "variant", "service_tier", "provider")
_MEASURES = {BILLING: COUNTS, MARKET: (*COUNTS, *FLAGS), RESALE: COUNTS}


def publish(bootstrap: str, rows: Iterable[CatalogRow]) -> None:
    """Put rows on the catalog."""
    producer = Producer({**SILENT, "bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 2})
    for row in rows:
        producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
    assert producer.flush(30) == 0


def on_topic(bootstrap: str, topic: str) -> Totals:
    """Of the lines a consumer reads."""
    return _summed(topic, (decode(record.value).record for record in read_all(bootstrap, topic)))


def in_clickhouse(client: Client, topic: str) -> Totals:
    """Of the lines in its table."""
    return _summed(topic, client.query(f"SELECT * FROM tokenmeter.{TABLES[topic]} FINAL").named_results())


def wanted(charges: Charges, topic: str, rated: Sequence[tuple[UsageEvent, Rating]]) -> Totals:
    """What the lines must say of these calls."""
    if topic == BILLING:
        view = billing(charges, rated)
        return without_zeros({k: {n: c for n, c in s.items() if not n.startswith("level")} for k, s in view.items()})
    if topic == MARKET:
        view = market(charges, rated)
        return without_zeros({k: {n: c for n, c in s.items() if not n.startswith("with")} for k, s in view.items()})
    found: Totals = defaultdict(lambda: defaultdict(int))
    for one, rating in rated:
        customer, _, _, *rest, hour = usage_key(one)
        for number, level in enumerate(rating.levels, 1):
            sums = found[(level.account_id, number, customer, *rest, hour, level.price_id)]
            for name, count in counts_of(one).items():
                sums[name] += count
            sums["charge"] += charges.charge(level.price_id, counts_of(one)) or 0
    return without_zeros(found)


def _summed(topic: str, lines: Iterable[Mapping[str, Any]]) -> Totals:
    found: Totals = defaultdict(lambda: defaultdict(int))
    for read in lines:
        # clickhouse-connect gives times of a UTC column without their zone.
        line = {**read, "occurred_hour": read["occurred_hour"].replace(tzinfo=UTC)}
        sums = found[_key(topic, line)]
        for name in _MEASURES[topic]:
            sums[name] += line[name]
        for name in ("charge", "cost"):
            amount: Decimal | None = line.get(name)
            sums[name] += 0 if amount is None else pico(amount)
    return without_zeros(found)


def _key(topic: str, line: Mapping[str, Any]) -> tuple[Any, ...]:
    if topic == BILLING:
        terms = [line[name] or "" for name in ("price_id", "cost_price_id", "plan_id", "chain")]
        return (*(line[name] for name in BILLING_USAGE_KEYS), "|".join(terms))
    if topic == MARKET:
        return tuple(line[name] for name in MARKET_KEYS)
    return (*(line[name] for name in _RESALE_KEYS), line["occurred_hour"], line["price_id"])


def differing(found: Totals, expected: Totals) -> list[str]:
    """Where two differ, as text; a few."""
    keys = [key for key in {*found, *expected} if found.get(key) != expected.get(key)]
    return [f"{key}: {found.get(key)} for {expected.get(key)}" for key in keys[:3]]
