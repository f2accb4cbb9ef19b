"""Hand-made rows for the boards' views: short to write, every other column at its default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.store.totals import SOURCES, Totals, days

Row = dict[str, Any]

DEFAULTS: Mapping[str, Row] = {
    "usage_market": {
        "partition": 0,
        "line": 0,
        "model": "openai/gpt-4o",
        "provider": "openai",
        "app_id": None,
        "variant": "standard",
        "operation": "CHAT",
        "context_bucket": "<1k",
        "events": 1,
        "errors": 0,
    },
    "usage_events": {
        "customer_id": "c",
        "kind": "USAGE",
        "model": "openai/gpt-4o",
        "provider": "openai",
        "status": 200,
    },
}


def insert(client: Client, table: str, rows: Iterable[Row]) -> None:
    """Insert rows that may each name other columns; what none names stays at the table's default."""
    full = [{**DEFAULTS.get(table, {}), **row} for row in rows]
    names = sorted({name for row in full for name in row})
    client.insert(f"tokenmeter.{table}", [[row.get(name, 0) for name in names] for row in full], column_names=names)


def lines(client: Client, first_offset: int, rows: Iterable[Row]) -> None:
    """Market lines, each a page of its own from ``first_offset`` on, and the totals a loader makes of them."""
    made = [{"first_offset": first_offset + number, **row} for number, row in enumerate(rows)]
    insert(client, "usage_market", made)
    remake(client, "usage_market", (row["occurred_hour"] for row in made))


def calls(client: Client, rows: Iterable[Row]) -> None:
    """Raw events, and the totals a loader makes of them."""
    made = list(rows)
    insert(client, "usage_events", made)
    remake(client, "usage_events", (row["occurred_at"] for row in made))


def remake(client: Client, source: str, times: Iterable[datetime]) -> None:
    bucket_s = SOURCES[source].bucket_s
    buckets = {int(time.timestamp()) // bucket_s * bucket_s for time in times}
    totals = Totals(client)
    for day, each in days(buckets):
        totals.remake(source, day, each)


def money(currency: str | None, charge: str | None, cost_currency: str | None, cost: str | None) -> Row:
    """The columns of money; null where None."""
    return {
        "currency": currency,
        "charge": None if charge is None else Decimal(charge),
        "cost_currency": cost_currency,
        "cost": None if cost is None else Decimal(cost),
    }
