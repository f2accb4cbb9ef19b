"""What a page says when it closes: its lines, its ledger entries, what it put aside, and its own record. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import BILLING, LEDGER, MARKET, PAGES, QUARANTINE, RESALE
from tokenmeter.events.lines import page_digest
from tokenmeter.events.rating import amount
from tokenmeter.flow.columns import columnar_avro
from tokenmeter.flow.meter.entries import Written, entries
from tokenmeter.flow.meter.lines import Lines, end_users, lines, sum_of
from tokenmeter.flow.meter.open_page import OpenPage
from tokenmeter.flow.page.page import Outgoing, PageBounds


class Closed(NamedTuple):
    outgoing: list[Outgoing]
    digest: bytes
    """What the next page continues."""


def close(page: OpenPage, bounds: PageBounds, closed_at: datetime, meter: str, previous_digest: bytes) -> Closed:
    """``page`` is folded and added up; ``meter`` is who closes it."""
    partition = bounds.partition
    made = lines(page.billing, page.market, page.rater)
    place = {"partition": partition, "first_offset": bounds.first_offset}
    billing_values = columnar_avro.encode("billing_line", made.billing, **place)
    market_values = columnar_avro.encode("market_line", made.market, **place)
    resale_values = columnar_avro.encode("resale_line", made.resale, **place)
    charge, currency = sum_of(made.billing, "charge", "currency")
    cost, cost_currency = sum_of(made.billing, "cost", "cost_currency")
    charged = _charged(page, made, Written(bounds, closed_at, meter))
    page.quarantined.sort(key=lambda q: q["offset"])
    quarantined = [wire.encode("quarantined_event", {**q, "quarantined_at": closed_at}) for q in page.quarantined]
    record = {
        "partition": partition,
        "first_offset": bounds.first_offset,
        "last_offset": bounds.last_offset,
        "events_in": page.events_in,
        "events": page.events,
        "corrections": page.corrections,
        "corrected_calls": page.corrected_calls,
        "duplicates": page.duplicates,
        "quarantined": len(page.quarantined),
        "unpriced": page.unpriced,
        "lost": bounds.lost,
        "billing_lines": len(billing_values),
        "market_lines": len(market_values),
        "resale_lines": len(resale_values),
        "ledger_entries": charged.height,
        "catalog_offset": page.rater.catalog_offset,
        **page.quantities,
        "charge": _decimal(charge),
        "cost": _decimal(cost),
        "currency": currency,
        "cost_currency": cost_currency,
        "earliest_occurred_at": page.earliest,
        "latest_occurred_at": page.latest,
        "misrouted_customers": 0,  # none is metered; the audit believes an older page that says otherwise
        "closed_at": closed_at,
        "meter": meter,
        "previous_digest": previous_digest,
        "digest": b"",
    }
    unsigned = wire.encode("page", record)
    digest = page_digest(previous_digest, unsigned, billing_values, market_values, resale_values)
    signed = wire.encode("page", {**record, "digest": digest})
    aside = [q["customer_id"].encode() if q["customer_id"] else None for q in page.quarantined]
    outgoing = [
        Outgoing(BILLING, _keys(made.billing["customer_id"]), billing_values),
        Outgoing(MARKET, _keys(made.market["model"]), market_values),
        Outgoing(LEDGER, _keys(charged["account_id"]), columnar_avro.encode("ledger_entry", charged)),
        Outgoing(RESALE, _keys(made.resale["account_id"]), resale_values),
        Outgoing(QUARANTINE, aside, quarantined),
        Outgoing(PAGES, [str(partition).encode()], [signed], partition),
    ]
    return Closed(outgoing, digest)


def _charged(page: OpenPage, made: Lines, written: Written) -> pl.DataFrame:
    """The page's ledger entries; who keeps no catalog keeps no ledger."""
    if not page.rater.catalog_offset:
        return pl.DataFrame(schema={"account_id": pl.String()})
    return entries(made, end_users(page.end_users, page.rater), page.rater, written)


def _keys(column: pl.Series) -> list[bytes]:
    return column.cast(pl.Binary).to_list() if len(column) else []


def _decimal(pico: int | None) -> Decimal | None:
    return None if pico is None else amount(pico)
