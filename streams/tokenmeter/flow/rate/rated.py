"""What a rater gives the meter: columns for a batch of events, and the terms that its rating numbers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from tokenmeter.events.catalog_row import BudgetScope

RATING = "_rating"
"""Int32: number of the rating among the rater's terms. Equal numbers, equal ids; so lines are grouped by it."""
CHARGE_PICO, COST_PICO = "_charge_pico", "_cost_pico"
"""Int128, null where unpriced: what the customer owes for the event, what the upstream charges."""

TERMS: dict[str, pl.DataType] = {
    "price_id": pl.String(),
    "cost_price_id": pl.String(),
    "plan_id": pl.String(),
    "chain": pl.String(),
    "currency": pl.String(),
    "cost_currency": pl.String(),
    "provisional": pl.Boolean(),
}
"""The columns of ``Rater.terms`` beside RATING: those of a billing line."""


class Rater(Protocol):
    """Rates by the catalog below ``catalog_offset``. For one page at a time; numbers last as long as the rater."""

    @property
    def catalog_offset(self) -> int:
        """The catalog's records below this offset are known."""

    def budgets(self, scope: BudgetScope) -> pl.DataFrame:
        """Every budget of such a part of an account there has ever been: ``account_id``, ``scope``, ``scope_id``."""

    def currencies_of(self, accounts: pl.Series) -> pl.Series:
        """Of each account its own currency, by its newest row; without one USD."""

    def rate(self, events: pl.DataFrame) -> pl.DataFrame:
        """Metered events (the columns of a usage event) with RATING, CHARGE_PICO, COST_PICO, ``currency`` and
        ``cost_currency`` added."""

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """RATING and TERMS for these numbers."""

    def resale(self, billing: pl.DataFrame) -> pl.DataFrame:
        """The lines of each level above the customers, from a page's billing lines: the columns of a resale line but
        partition, first_offset and line; ``charge`` as Int128 pico-units. One row per RESALE_KEYS, in their order."""


class Rates(Protocol):
    """Where a worker's meters get their raters; called from several threads."""

    def current(self) -> Rater:
        """A rater that knows every catalog record committed before the call."""
