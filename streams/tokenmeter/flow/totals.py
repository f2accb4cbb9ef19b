"""Totals of a page: events grouped by the billing and by the market keys, absolute and exact in 64-bit integers.

A line's ``events`` are model calls: a USAGE event is one, a CORRECTION as many as its signed ``calls`` say, and its
status and flags count with that weight. So a correction never looks like a call, and can take one off.
"""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import (
    BILLING_KEYS,
    CONTEXT_BUCKET_TOP,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    MARKET_KEYS,
    RATE_LIMITED_STATUS,
)

_IS_ERROR = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
_EVENTS = pl.len().cast(pl.Int64).alias("events")
_FLAGS = ("streamed", "cancelled", "byok")
_CALLS = pl.when(pl.col("corrects").is_null()).then(1).otherwise(pl.col("calls")).cast(pl.Int64)
"""How many calls each event stands for."""

PART_ROWS_MAX = 30_000
"""Rows of the batches' totals that a page keeps before it adds them up."""

BILLING_MEASURES: tuple[str, ...] = ("events", "errors", *QUANTITY_FIELDS)
MARKET_MEASURES: tuple[str, ...] = ("events", "errors", "rate_limited", *_FLAGS, *QUANTITY_FIELDS)


def _context_bucket() -> pl.Expr:
    bucket = pl.lit(CONTEXT_BUCKET_TOP)
    for below, name in reversed(CONTEXT_BUCKETS):
        bucket = pl.when(pl.col("input_tokens").abs() < below).then(pl.lit(name)).otherwise(bucket)
    return bucket.alias("context_bucket")


_COUNTS = [
    _IS_ERROR.cast(pl.Int64).alias("errors"),
    (pl.col("status") == RATE_LIMITED_STATUS).cast(pl.Int64).alias("rate_limited"),
    *(pl.col(name).cast(pl.Int64) for name in _FLAGS),
]
_HOUR = pl.col("occurred_at").dt.truncate("1h").alias("occurred_hour")
_DERIVED = [_HOUR, _context_bucket(), *_COUNTS]
_DERIVED_WEIGHTED = [
    _HOUR,
    pl.coalesce("context_bucket", _context_bucket()).alias("context_bucket"),
    _CALLS.alias("events"),
    *(count * _CALLS for count in _COUNTS),
]


def billing(events: pl.DataFrame) -> pl.DataFrame:
    """Metered events to one row per BILLING_KEYS with BILLING_MEASURES, in any order."""
    return _grouped(events, BILLING_KEYS, BILLING_MEASURES)


def market(events: pl.DataFrame) -> pl.DataFrame:
    """Metered events to one row per MARKET_KEYS with MARKET_MEASURES, in any order."""
    return _grouped(events, MARKET_KEYS, MARKET_MEASURES)


def _grouped(events: pl.DataFrame, keys: tuple[str, ...], measures: tuple[str, ...]) -> pl.DataFrame:
    """Sum ``measures`` by ``keys``. Most calls have no images, audio or tools: a column of zeros is not summed."""
    summed = [name for name in measures if name != "events"]
    counted = events.select(pl.any_horizontal(pl.col(name).min() != 0, pl.col(name).max() != 0) for name in summed)
    present = [name for name, counts in zip(summed, counted.row(0), strict=True) if counts]
    zeros = [pl.lit(0, pl.Int64).alias(name) for name in summed if name not in present]
    calls = pl.col("events").sum() if "events" in events.columns else _EVENTS
    totals = events.group_by(keys).agg(calls, *(pl.col(name).sum() for name in present))
    return totals.with_columns(zeros).select(*keys, *measures)


def derive(events: pl.DataFrame) -> pl.DataFrame:
    """Add the columns both groupings need: the hour, the context bucket and what each event counts for."""
    # Corrections are rare and this is the hot path: weights are made only where there is one.
    only_calls = events["corrects"].null_count() == events.height
    return events.with_columns(_DERIVED if only_calls else _DERIVED_WEIGHTED)


def merge(parts: list[pl.DataFrame], keys: tuple[str, ...], measures: tuple[str, ...]) -> pl.DataFrame:
    """Add up the totals of several batches and put the lines in their order: by key, nulls first."""
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys((*keys, *measures), pl.Int64))
    return _summed(parts, keys, measures).sort(keys, nulls_last=False).select(*keys, *measures)


def fold(parts: list[pl.DataFrame], part: pl.DataFrame, keys: tuple[str, ...], measures: tuple[str, ...]) -> None:
    """Add a batch's totals to the page's, in place. Parts are added up once they outgrow what they add up to, so a
    page holds a few times its lines however many batches it has, and each row is added up a few times at most."""
    parts.append(part)
    if sum(newer.height for newer in parts[1:]) > max(PART_ROWS_MAX, parts[0].height):
        parts[:] = [_summed(parts, keys, measures)]


def _summed(parts: list[pl.DataFrame], keys: tuple[str, ...], measures: tuple[str, ...]) -> pl.DataFrame:
    return pl.concat(parts, how="vertical").group_by(keys).agg(pl.col(measures).sum())
