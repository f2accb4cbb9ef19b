"""The lines of the levels above the customers, from a page's billing lines: "Levels" of ``pricing.md``.

A page may have ten times as many of these lines as of billing lines, so they are joined, summed and sorted as
three numbers: whose they are, what was used, at which price.
"""

from __future__ import annotations

from urllib.parse import unquote

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import RESALE_KEYS
from tokenmeter.flow.rate.charging import present, used
from tokenmeter.flow.rate.ratings import Ratings

COLUMNS = tuple(name for name in latest("resale_line").field_names if name not in ("partition", "first_offset", "line"))
_BUYER = ("account_id", "seller_id", "level")
_USAGE = tuple(name for name in RESALE_KEYS if name not in (*_BUYER, "price_id"))
_MEASURES = ("events", "errors", *QUANTITY_FIELDS)
_NUMBERS = ["_buyer", "_usage", "_price"]


def resale(billing: pl.DataFrame, ratings: Ratings) -> pl.DataFrame:
    """See ``tokenmeter.flow.rate.rated.Rater.resale``."""
    chained = billing.filter(pl.col("chain").is_not_null())
    chains = chained.select_seq("chain").unique().with_row_index("_chain")
    levels = _levels(chains)
    prices = _prices(levels["price_id"].unique(), ratings)
    levels = levels.with_columns_seq(
        pl.col("price_id").replace_strict(prices["_written"], prices["price_id"], default=None)
    )
    buyers, usage = _ranked(levels, _BUYER, "_buyer"), _ranked(chained, _USAGE, "_usage")
    priced = prices.drop("_written").unique("price_id").sort("price_id", nulls_last=False).with_row_index("_price")
    parts = levels.join(buyers, on=_BUYER, nulls_equal=True).join(priced, on="price_id", nulls_equal=True)
    measures = present(chained, _MEASURES)
    totals = (
        chained.select_seq("chain", *_USAGE, *measures)
        .join(usage, on=_USAGE, nulls_equal=True)
        .join(chains, on="chain")
        .select_seq("_chain", "_usage", *measures)
        .join(parts.select_seq("_chain", "_buyer", "_price"), on="_chain")
        .group_by(_NUMBERS)
        .agg(pl.col(measures).sum())
        .sort(_NUMBERS)
    )
    named = (
        table.drop(number)[totals[number]] for number, table in zip(_NUMBERS, (buyers, usage, priced), strict=True)
    )
    zeros = (pl.lit(0, pl.Int64).alias(name) for name in _MEASURES if name not in measures)
    lines = pl.concat([totals, *named], how="horizontal").with_columns_seq(zeros)
    calls = used(lines, pl.col("events") - pl.col("errors"))
    return lines.with_columns_seq(ratings.units.charge(calls, lines["_line"].to_numpy()).alias("charge")).select_seq(
        COLUMNS
    )


def _levels(chains: pl.DataFrame) -> pl.DataFrame:
    """A row for each level of each chain, see ``tokenmeter.events.rating``; the seller is the next above."""
    parts = (
        chains.with_columns_seq(pl.col("chain").str.split(";"))
        .explode("chain")
        .with_columns_seq(
            pl.col("chain").str.split_exact("@", 1).struct.rename_fields(["account_id", "price_id"]),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("_chain").alias("level"),
        )
        .unnest("chain")
    )
    quoted = parts["account_id"].unique()
    names = pl.Series([unquote(name) for name in quoted], dtype=pl.String)
    return parts.with_columns_seq(
        pl.col("account_id").replace_strict(quoted, names, return_dtype=pl.String),
        pl.col("price_id").replace("", None),
    ).with_columns_seq(pl.col("account_id").shift(-1).over("_chain").alias("seller_id"))


def _prices(written: pl.Series, ratings: Ratings) -> pl.DataFrame:
    """What each price id of a chain is charged by; one that prices nothing is null."""
    ids = written.to_list()
    known = [ratings.known(one) for one in ids]
    lines, currencies, provisional = zip(*map(ratings.facts, known), strict=True) if ids else ((), (), ())
    return pl.DataFrame(
        [
            pl.Series("_written", ids, pl.String),
            pl.Series("price_id", known, pl.String),
            pl.Series("_line", lines, pl.Int32),
            pl.Series("currency", currencies, pl.String),
            pl.Series("provisional", provisional, pl.Boolean),
        ]
    )


def _ranked(rows: pl.DataFrame, keys: tuple[str, ...], number: str) -> pl.DataFrame:
    """The distinct keys in order, nulls first, each with its number."""
    return rows.select_seq(keys).unique().sort(keys, nulls_last=False).with_row_index(number)
