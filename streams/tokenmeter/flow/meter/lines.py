"""The lines of a page that closes: its totals, the terms they were rated by, money that is null where none is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tokenmeter.events.lines import BILLING_KEYS, MARKET_KEYS
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.totals import COSTED, PRICED, REPORTED_CALLS_COST, REPORTED_COST, REPORTED_UNCOSTED
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING, Rater

_MONEY = [
    pl.when(pl.col(PRICED) > 0).then(pl.col(CHARGE_PICO)).alias("charge"),
    pl.when(pl.col(COSTED) > 0).then(pl.col(COST_PICO)).alias("cost"),
]
_REPORTED = [
    pl.when(pl.col("reported_calls") > 0).then(pl.col(REPORTED_COST)).alias("reported_cost"),
    pl.when((pl.col("reported_calls") > 0) & (pl.col(REPORTED_UNCOSTED) == 0))
    .then(pl.col(REPORTED_CALLS_COST))
    .alias("reported_calls_cost"),
]


@dataclass(frozen=True)
class Lines:
    """Frames in line order with ``line``, ready for the encoder; money in pico-units."""

    billing: pl.DataFrame
    market: pl.DataFrame
    resale: pl.DataFrame


def lines(billing: Sequence[pl.DataFrame], market: Sequence[pl.DataFrame], rater: Rater) -> Lines:
    """The lines of a page from its batches' totals."""
    billed = totals.merge(list(billing), totals.BILLING)
    terms = rater.terms(billed[RATING].unique().sort().to_list())
    billed = billed.join(terms, on=RATING, how="left").with_columns_seq(*_MONEY, *_REPORTED)
    billed = billed.sort(BILLING_KEYS, nulls_last=False)
    marketed = totals.merge(list(market), totals.MARKET).with_columns_seq(_MONEY).sort(MARKET_KEYS, nulls_last=False)
    return Lines(_numbered(billed), _numbered(marketed), _numbered(rater.resale(billed)))


def end_users(parts: Sequence[pl.DataFrame], rater: Rater) -> pl.DataFrame:
    """Usage of end users from its batches' totals, with its terms; ``charge`` in pico-units."""
    used = totals.merge(list(parts), totals.END_USERS)
    if not used.height:
        return used  # most pages: nobody has a budget for an end user
    terms = rater.terms(used[RATING].unique().sort().to_list())
    return used.join(terms, on=RATING, how="left").with_columns_seq(_MONEY)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.hstack([pl.int_range(frame.height, dtype=pl.Int64, eager=True).alias("line")])


def sum_of(frame: pl.DataFrame, amount: str, currency: str) -> tuple[int | None, str | None]:
    """(sum in pico-units, currency) of the lines that have both; nulls where none has, or the currencies differ."""
    amounts = frame.filter(pl.col(amount).is_not_null() & pl.col(currency).is_not_null()).select_seq(amount, currency)
    if amounts[currency].n_unique() != 1:
        return None, None
    return int(amounts[amount].sum()), amounts[currency][0]
