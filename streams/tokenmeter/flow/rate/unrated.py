"""Rating without a catalog: every call is unpriced."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tokenmeter.events.catalog_row import DEFAULT_CURRENCY, DEFAULT_PLAN, BudgetScope
from tokenmeter.events.contract import latest
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING, TERMS, Rater

_NULLS = [
    pl.lit(0, pl.Int32).alias(RATING),
    pl.lit(None, pl.Int128).alias(CHARGE_PICO),
    pl.lit(None, pl.Int128).alias(COST_PICO),
    pl.lit(None, pl.String).alias("currency"),
    pl.lit(None, pl.String).alias("cost_currency"),
]
_PLACE = ("partition", "first_offset", "line")


class Unrated:
    """A Rater that knows no price; see ``tokenmeter.flow.rate.rated.Rater``."""

    catalog_offset = 0

    def budgets(self, scope: BudgetScope) -> pl.DataFrame:
        """There are none. See Rater."""
        return pl.DataFrame(schema=dict.fromkeys(("account_id", "scope", "scope_id"), pl.String()))

    def currencies_of(self, accounts: pl.Series) -> pl.Series:
        """USD. See Rater."""
        return pl.repeat(DEFAULT_CURRENCY, len(accounts), dtype=pl.String, eager=True)

    def rate(self, events: pl.DataFrame) -> pl.DataFrame:
        """Every charge and cost is null. See Rater."""
        return events.with_columns_seq(_NULLS)

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """One rating, of nothing but the default plan. See Rater."""
        rows = [{RATING: number, "plan_id": DEFAULT_PLAN, "provisional": False} for number in numbers]
        return pl.DataFrame(rows, schema={RATING: pl.Int32(), **TERMS})

    def resale(self, billing: pl.DataFrame) -> pl.DataFrame:
        """Nobody stands above a customer. See Rater."""
        return pl.DataFrame(schema=[name for name in latest("resale_line").field_names if name not in _PLACE])

    def current(self) -> Rater:
        """Itself: see ``tokenmeter.flow.rate.rated.Rates``."""
        return self
