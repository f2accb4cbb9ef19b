"""The CHARGE entries of a page: what each account owes for it, at every level, and what each budget spends. Pure.

One entry an account, UTC day and currency, however many calls; a budget of a project, key, end user or model has its
own beside it. An entry's place among the page's entries is part of its id, so the order is part of the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.ledger import EntryKind
from tokenmeter.flow.meter.lines import Lines
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.rate.rated import Rater

SCOPE_COLUMNS: dict[str, str] = {
    BudgetScope.PROJECT: "project_id",
    BudgetScope.KEY: "api_key_id",
    BudgetScope.MODEL: "model",
    BudgetScope.END_USER: "end_user_id",
}
"""Which column names the part of an account that a budget is for."""
COUNTS = ("events", "errors", "input_tokens", "output_tokens")
_ORDER = ("account_id", "scope", "scope_id", "occurred_day", "level", "currency")
_USED = ("account_id", "level", "currency", "occurred_day", *COUNTS, "charge", "provisional")
_UNPRICED = pl.col("charge").is_null()
_ZERO = pl.lit(0, pl.Int128)  # a 128-bit column has no sign to change
_SUMS = [
    *(pl.col(name).sum() for name in COUNTS),
    pl.col("events").filter(_UNPRICED).sum().alias("unpriced"),
    pl.when((~_UNPRICED).any()).then(_ZERO - pl.col("charge").sum()).alias("amount"),
    pl.when((pl.col("provisional") & ~_UNPRICED).any())
    .then(_ZERO - pl.col("charge").filter(pl.col("provisional")).sum())
    .alias("provisional_amount"),
]


@dataclass(frozen=True)
class Written:
    """Who writes the entries, when, and for which page."""

    bounds: PageBounds
    closed_at: datetime
    meter: str


def entries(made: Lines, end_users: pl.DataFrame, rater: Rater, written: Written) -> pl.DataFrame:
    """The columns of ledger entries, amounts in pico-units, in their order.

    ``end_users``: usage of the end users that have a budget: ``customer_id``, ``end_user_id``, ``occurred_hour``,
    ``currency``, ``charge``, ``provisional`` and COUNTS.
    """
    billed = _of_accounts(made.billing.rename({"customer_id": "account_id"}), rater, 0)
    resold = _of_accounts(made.resale.drop("customer_id"), rater, None)
    ended = _of_accounts(end_users.rename({"customer_id": "account_id"}), rater, 0)
    found = [_summed([billed, resold])]
    for scope in (BudgetScope.PROJECT, BudgetScope.KEY, BudgetScope.MODEL):
        found.append(_scoped([billed, resold] if scope == BudgetScope.MODEL else [billed], scope, rater))
    found.append(_scoped([ended], BudgetScope.END_USER, rater))
    frame = pl.concat(found, how="diagonal_relaxed")
    if not frame.height:
        return pl.DataFrame(schema={"account_id": pl.String()})
    return _placed(frame.sort(_ORDER, nulls_last=False), written)


def _of_accounts(lines: pl.DataFrame, rater: Rater, level: int | None) -> pl.DataFrame:
    """Lines with their day, and the account's own currency where nothing was priced."""
    if not lines.height:
        return lines  # whose columns have no types
    currency = lines["currency"].cast(pl.String)
    if currency.null_count():
        own = rater.currencies_of(lines["account_id"])
        currency = pl.select(pl.coalesce(currency, own)).to_series()
    return lines.with_columns_seq(
        pl.col("occurred_hour").dt.truncate("1d").alias("occurred_day"),
        currency.alias("currency"),
        *([] if level is None else [pl.lit(level, pl.Int64).alias("level")]),
    )


def _scoped(parts: Sequence[pl.DataFrame], scope: BudgetScope, rater: Rater) -> pl.DataFrame:
    """What the budgets of one scope spend."""
    wanted = rater.budgets(scope)
    column = SCOPE_COLUMNS[scope]
    if not wanted.height:
        return pl.DataFrame(schema={"scope": pl.String(), "scope_id": pl.String()})
    own = pl.col(column).cast(pl.String).alias("scope_id")
    keys = ["account_id", "scope_id"]
    return _summed([p.with_columns_seq(own).join(wanted, on=keys) for p in parts if p.height], "scope", "scope_id")


def _summed(parts: Sequence[pl.DataFrame], *scope: str) -> pl.DataFrame:
    used = [part.select_seq(*_USED, *scope) for part in parts if part.height]
    if not used:
        return pl.DataFrame(schema={"scope": pl.String(), "scope_id": pl.String()})
    keys = ("account_id", "level", "currency", "occurred_day", *scope)
    summed = pl.concat(used, how="vertical_relaxed").group_by(keys).agg(_SUMS)
    return (
        summed
        if scope
        else summed.with_columns_seq(pl.lit(None, pl.String).alias(name) for name in ("scope", "scope_id"))
    )


def _placed(frame: pl.DataFrame, written: Written) -> pl.DataFrame:
    """With the page, the place in it, the id and who wrote it."""
    bounds = written.bounds
    line = pl.int_range(pl.len(), dtype=pl.Int64)
    return frame.rename({"events": "calls"}).with_columns_seq(
        line.alias("line"),
        pl.lit(EntryKind.CHARGE.value).alias("kind"),
        pl.format(f"{EVENTS}/{bounds.partition}/{bounds.first_offset}/{{}}", line).alias("entry_id"),
        pl.lit(bounds.partition).alias("partition"),
        pl.lit(bounds.first_offset).alias("first_offset"),
        pl.lit(bounds.last_offset).alias("last_offset"),
        pl.lit(written.closed_at).alias("made_at"),
        pl.lit(written.meter).alias("made_by"),
    )
