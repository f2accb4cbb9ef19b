"""Billing lines of rated events, as a page would have them."""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import BILLING_USAGE_KEYS, ERROR_STATUS_MIN
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING, Rater


def billing(rated: pl.DataFrame, rater: Rater) -> pl.DataFrame:
    """One line for each billing key and rating, with the terms of the rating."""
    calls = pl.when(pl.col("corrects").is_null()).then(1).otherwise(pl.col("calls"))
    failed = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
    lines = (
        rated.drop("currency", "cost_currency")
        .with_columns(
            pl.col("occurred_at").dt.truncate("1h").alias("occurred_hour"),
            calls.cast(pl.Int64).alias("events"),
            (calls * failed).cast(pl.Int64).alias("errors"),
        )
        .group_by(*BILLING_USAGE_KEYS, RATING)
        .agg(
            pl.col("events", "errors", *QUANTITY_FIELDS).sum(),
            pl.col(CHARGE_PICO).sum().alias("charge"),
            pl.col(COST_PICO).sum().alias("cost"),
        )
    )
    terms = rater.terms(sorted(set(lines[RATING])))
    lines = lines.join(terms, on=RATING, how="left")
    return lines.with_columns(
        pl.when(pl.col("price_id").is_not_null()).then("charge"),
        pl.when(pl.col("cost_price_id").is_not_null()).then("cost"),
    )
