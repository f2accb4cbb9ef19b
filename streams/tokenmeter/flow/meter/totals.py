"""Totals of a page: rated events grouped by the billing and by the market keys, absolute and exact.

A line's ``events`` are model calls: a USAGE event is one, a CORRECTION as many as its signed ``calls`` say, and its
status and flags count with that weight. So a correction never looks like a call, and can take one off. What describes
single calls (squared tokens, latency, generation time, reported cost) counts USAGE events alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import (
    BILLING_USAGE_KEYS,
    CONTEXT_BUCKET_TOP,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    MARKET_KEYS,
    RATE_LIMITED_STATUS,
)
from tokenmeter.flow.rate.charging import present
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING

PRICED, COSTED = "_priced", "_costed"
"""How many events of a line have a charge, a cost: a line without any says null, not 0."""
REPORTED_COST, REPORTED_CALLS_COST, REPORTED_UNCOSTED = "_reported_cost", "_reported_calls_cost", "_reported_uncosted"
MONEY = (CHARGE_PICO, COST_PICO, PRICED, COSTED)

_FLAGS = ("streamed", "cancelled", "byok")
_IS_USAGE = pl.col("corrects").is_null()
_IS_ERROR = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
_CALLS = pl.when(_IS_USAGE).then(1).otherwise(pl.col("calls")).cast(pl.Int64)
"""How many calls each event stands for."""

PART_ROWS_MAX = 30_000
"""Rows of the batches' totals that a page keeps before it adds them up."""


@dataclass(frozen=True)
class Grouping:
    """One kind of line: ``keys`` it is grouped by while its page is open, ``measures`` that are added up."""

    keys: tuple[str, ...]
    measures: tuple[str, ...]


BILLING = Grouping(
    (*BILLING_USAGE_KEYS, RATING),
    (
        "events",
        "errors",
        *QUANTITY_FIELDS,
        "tokens_squared",
        "reported_calls",
        REPORTED_COST,
        REPORTED_CALLS_COST,
        REPORTED_UNCOSTED,
        *MONEY,
    ),
)
MARKET = Grouping(
    MARKET_KEYS,
    (
        "events",
        "errors",
        "rate_limited",
        *_FLAGS,
        "unpriced",
        "uncosted",
        "latency_calls",
        "latency_sum_ms",
        "generation_calls",
        "generation_sum_ms",
        "generation_tokens",
        *QUANTITY_FIELDS,
        *MONEY,
    ),
)
END_USERS = Grouping(
    ("customer_id", "end_user_id", "occurred_hour", RATING),
    ("events", "errors", "input_tokens", "output_tokens", *MONEY),
)
"""Usage of the end users that have a budget."""
WIDE = frozenset(("tokens_squared", REPORTED_COST, REPORTED_CALLS_COST, CHARGE_PICO, COST_PICO))
"""Measures that need 128 bits."""
_ZEROS = {
    name: pl.lit(0, pl.Int128 if name in WIDE else pl.Int64).alias(name)
    for by in (BILLING, MARKET, END_USERS)
    for name in by.measures
}


def _context_bucket() -> pl.Expr:
    bucket = pl.lit(CONTEXT_BUCKET_TOP)
    for below, name in reversed(CONTEXT_BUCKETS):
        bucket = pl.when(pl.col("input_tokens").abs() < below).then(pl.lit(name)).otherwise(bucket)
    return bucket.alias("context_bucket")


def _of_calls(only_calls: bool) -> list[pl.Expr]:
    """What describes single calls; nothing of it comes from a correction."""
    usage = pl.lit(True) if only_calls else _IS_USAGE
    latency, duration = pl.col("latency_ms").cast(pl.Int64), pl.col("duration_ms").cast(pl.Int64)
    has_latency = usage & (latency >= 0).fill_null(False)
    generates = has_latency & (duration > latency).fill_null(False)
    reports = usage & pl.col("reported_cost").is_not_null()
    tokens = (pl.col("input_tokens") + pl.col("output_tokens")).cast(pl.Int128)
    cost, reported = pl.col(COST_PICO), pl.col("reported_cost").to_physical().cast(pl.Int128)
    return [
        pl.when(usage).then(tokens * tokens).otherwise(0).alias("tokens_squared"),
        has_latency.cast(pl.Int64).alias("latency_calls"),
        pl.when(has_latency).then(latency).otherwise(0).alias("latency_sum_ms"),
        generates.cast(pl.Int64).alias("generation_calls"),
        pl.when(generates).then(duration - latency).otherwise(0).alias("generation_sum_ms"),
        pl.when(generates).then(pl.col("output_tokens")).otherwise(0).alias("generation_tokens"),
        reports.cast(pl.Int64).alias("reported_calls"),
        pl.when(reports).then(reported).otherwise(0).alias(REPORTED_COST),
        pl.when(reports).then(cost.fill_null(0)).otherwise(0).alias(REPORTED_CALLS_COST),
        (reports & cost.is_null()).cast(pl.Int64).alias(REPORTED_UNCOSTED),
    ]


_COUNTS = [
    _IS_ERROR.cast(pl.Int64).alias("errors"),
    (pl.col("status") == RATE_LIMITED_STATUS).cast(pl.Int64).alias("rate_limited"),
    *(pl.col(name).cast(pl.Int64) for name in _FLAGS),
    pl.col(CHARGE_PICO).is_null().cast(pl.Int64).alias("unpriced"),
    pl.col(COST_PICO).is_null().cast(pl.Int64).alias("uncosted"),
]
_ALWAYS = [
    pl.col("occurred_at").dt.truncate("1h").alias("occurred_hour"),
    pl.col(CHARGE_PICO).is_not_null().cast(pl.Int64).alias(PRICED),
    pl.col(COST_PICO).is_not_null().cast(pl.Int64).alias(COSTED),
]
_DERIVED = [*_ALWAYS, _context_bucket(), *_COUNTS, *_of_calls(only_calls=True)]
_DERIVED_WEIGHTED = [
    *_ALWAYS,
    pl.coalesce("context_bucket", _context_bucket()).alias("context_bucket"),
    _CALLS.alias("events"),
    *(count * _CALLS for count in _COUNTS),
    *_of_calls(only_calls=False),
]
_EVENTS = pl.len().cast(pl.Int64).alias("events")


def derive(events: pl.DataFrame) -> pl.DataFrame:
    """Add to rated events the columns both groupings need: keys, and what each event counts for."""
    # Corrections are rare and this is the hot path: weights are made only where there is one.
    only_calls = events["corrects"].null_count() == events.height
    return events.with_columns_seq(_DERIVED if only_calls else _DERIVED_WEIGHTED)


def grouped(events: pl.DataFrame, by: Grouping) -> pl.DataFrame:
    """Derived events to one row per key, in any order. A column of zeros is not summed: most calls have no images."""
    summed = [name for name in by.measures if name != "events"]
    counted = {"events", *present(events, summed)}
    calls = pl.col("events").sum() if "events" in events.columns else _EVENTS
    totals = events.group_by(by.keys).agg(calls, pl.col([name for name in summed if name in counted]).sum())
    return totals.select_seq(*by.keys, *(name if name in counted else _ZEROS[name] for name in by.measures))


def merge(parts: list[pl.DataFrame], by: Grouping) -> pl.DataFrame:
    """Add up the totals of several batches, in any order."""
    if not parts:
        kinds = {name: pl.Int128 if name in WIDE else pl.Int64 for name in by.measures}
        return pl.DataFrame(schema={**dict.fromkeys(by.keys, pl.Int32), **kinds})
    return _summed(parts, by)


def fold(parts: list[pl.DataFrame], part: pl.DataFrame, by: Grouping) -> None:
    """Add a batch's totals to the page's, in place. Parts are added up once they outgrow what they add up to, so a
    page holds a few times its lines however many batches it has, and each row is added up a few times at most."""
    parts.append(part)
    if sum(newer.height for newer in parts[1:]) > max(PART_ROWS_MAX, parts[0].height):
        parts[:] = [_summed(parts, by)]


def _summed(parts: list[pl.DataFrame], by: Grouping) -> pl.DataFrame:
    return pl.concat(parts, how="vertical").group_by(by.keys).agg(pl.col(by.measures).sum())
