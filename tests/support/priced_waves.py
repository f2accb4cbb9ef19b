"""A catalog for the waves of ``oracle``: every call has a price and most a cost, and every other customer a dealer."""

from __future__ import annotations

from confluent_kafka import Producer

from support.catalog_rows import account, plan, price
from tokenmeter.events.access import SILENT
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG

WAVES_EVENTS_MAX = 2_000


def publish(bootstrap: str, *rows: CatalogRow) -> None:
    """Put rows on the catalog."""
    producer = Producer({**SILENT, "bootstrap.servers": bootstrap})
    for row in rows:
        producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
    assert producer.flush(30) == 0


def priced() -> list[CatalogRow]:
    """A list, what it costs, and a distributor of whom every other customer buys."""
    rows: list[CatalogRow] = [price("*", 3_000_000), price("a/*", 2_000_000, book="cost")]
    rows += [plan("dealer", margin_ppm=-300_000), plan("resold", None, margin_ppm=55_000)]
    rows += [account(f"customer-{number:06d}", "resold", "dealer-1") for number in range(0, WAVES_EVENTS_MAX, 2)]
    return [*rows, account("dealer-1", "dealer")]
