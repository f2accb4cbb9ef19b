"""Whether the calls that corrections name exist: asked by the gateway before it sends a correction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from tokenmeter.store.statement import sql

_EPOCH = datetime.fromtimestamp(0, UTC)
Call = tuple[str, int]
"""``event_id`` and ``occurred_at`` in microseconds since 1970."""


def existing(client: Client, customer_id: str, calls: Collection[Call]) -> set[Call]:
    """Those of ``calls`` that the customer has made and that were metered."""
    wanted = sorted(calls)
    asked = {
        "customer_id": customer_id,
        "event_ids": [event_id for event_id, _ in wanted],
        "times_us": [at_us for _, at_us in wanted],
        "days": sorted({int(f"{_EPOCH + timedelta(microseconds=at_us):%Y%m%d}") for _, at_us in wanted}),
    }
    return {(str(event_id), int(at_us)) for event_id, at_us in client.query(sql("corrected_events"), asked).result_rows}
