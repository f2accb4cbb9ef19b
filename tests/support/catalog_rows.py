"""Catalog rows for tests, in force since long ago unless they say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from tokenmeter.events import UsageEvent, encode
from tokenmeter.events.catalog import Account, Plan, Price, PriceTerms
from tokenmeter.events.catalog_row import CatalogRow, PlanBase
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.rate.book import Book

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def price(model: str = "a/one", units: int | dict[str, int] = 0, **fields: Any) -> PriceTerms:
    """A price; ``units`` are pico-units by token class, or of an input token with twice as much for output."""
    by_name = {"input_tokens": units, "output_tokens": 2 * units} if isinstance(units, int) else units
    amounts = {f"{name}_price": Decimal(unit).scaleb(-12) for name, unit in by_name.items()}
    return Price(**{"model": model, "effective_from": LONG_AGO, **amounts, **fields})


def plan(plan_id: str, base: str | None = "list", **fields: Any) -> Plan:
    """A plan on a book, or on what the payee pays where ``base`` is None."""
    kind = PlanBase.BUY if base is None else PlanBase.BOOK
    return Plan(**{"plan_id": plan_id, "base": kind, "base_book": base, "effective_from": LONG_AGO, **fields})


def account(account_id: str, plan_id: str = "default", parent_id: str | None = None, **fields: Any) -> Account:
    """An account."""
    made = {"account_id": account_id, "plan_id": plan_id, "parent_id": parent_id, "effective_from": LONG_AGO}
    return Account(**{**made, **fields})


def book(*rows: CatalogRow) -> Book:
    """The book of these rows, in the order of the topic."""
    return Book(enumerate(rows), len(rows))


def frame(events: Sequence[UsageEvent]) -> pl.DataFrame:
    """The events as the meter has them."""
    return decode([encode("usage_event", event.to_record()) for event in events]).frame
