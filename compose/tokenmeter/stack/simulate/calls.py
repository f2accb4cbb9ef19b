"""Single simulated calls of the last days: a sample of the lines, for medians, percentiles and calls per minute."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES, CONTEXT_BUCKETS

CALLS = 60_000
CALLS_DAYS = 7
CUSTOMERS = 120
NAME = "simulated"
"""``source`` of every simulated call, and how the names of its customers begin."""
INPUT_LOG, OUTPUT_LOG, LATENCY_LOG, DURATION_LOG = (8.2, 1.1), (5.4, 1.1), (6.6, 0.55), (8.6, 0.8)
"""Mean and standard deviation of the logarithm."""
ERRORS, RATE_LIMITED = 0.025, 0.01


def calls(lines: pl.DataFrame, until: datetime, seed: int, count: int = CALLS) -> pl.DataFrame:
    """Raw events of the days before ``until``, as likely in a line as it has calls."""
    chance = np.random.default_rng((seed, 3))
    recent = lines.filter(pl.col("occurred_hour") >= until - pl.duration(days=CALLS_DAYS))
    weights = recent["events"].to_numpy().astype(np.float64)
    row = np.sort(np.searchsorted(np.cumsum(weights) / weights.sum(), chance.random(count)))
    row = np.minimum(row, recent.height - 1)
    drawn = chance.random(count)
    failed, limited = drawn < ERRORS, drawn < RATE_LIMITED
    given, made = (np.where(failed, 0, _log(chance, log, count)) for log in (INPUT_LOG, OUTPUT_LOG))
    latency = _log(chance, LATENCY_LOG, count)
    bucket = np.searchsorted([below for below, _ in CONTEXT_BUCKETS], given, "right")
    who = recent.select("model", "provider", "app_id", "variant", "operation", "country", "occurred_hour")[row]
    at = who["occurred_hour"] + pl.Series(chance.integers(0, 3_600_000_000, count)).cast(pl.Duration("us"))
    number = pl.Series(np.arange(count))
    return who.drop("occurred_hour").with_columns(
        (pl.lit(f"{NAME}-{seed}-") + number.cast(pl.String)).alias("event_id"),
        pl.lit("USAGE").alias("kind"),
        at.alias("occurred_at"),
        at.dt.cast_time_unit("ms").alias("appended_at"),
        pl.lit(NAME).alias("source"),
        (pl.lit(f"{NAME}-") + pl.Series(chance.integers(1, CUSTOMERS + 1, count)).cast(pl.String)).alias("customer_id"),
        pl.Series("status", np.where(limited, 429, np.where(failed, 500, 200)).astype(np.int32)),
        pl.when(pl.Series(limited))
        .then(pl.lit("rate_limited"))
        .when(pl.Series(failed))
        .then(pl.lit("upstream"))
        .alias("error_class"),
        pl.Series("streamed", chance.random(count) < 0.8),
        pl.Series("cancelled", chance.random(count) < 0.02),
        pl.Series("byok", chance.random(count) < 0.05),
        pl.Series("input_tokens", given),
        pl.Series("cached_input_tokens", (given * np.minimum(chance.exponential(0.4, count), 0.9)).astype(np.int64)),
        pl.Series("output_tokens", made),
        pl.Series("reasoning_tokens", (made * 0.5 * chance.random(count)).astype(np.int64)),
        pl.Series("tool_calls", np.where(failed, 0, chance.poisson(0.42, count)).astype(np.int64)),
        pl.Series("latency_ms", latency.astype(np.int32)),
        pl.Series("duration_ms", (latency + _log(chance, DURATION_LOG, count)).astype(np.int32)),
        pl.Series("context_bucket", np.array(CONTEXT_BUCKET_NAMES)[bucket]),
        number.alias("offset"),
        pl.lit(0, pl.Int32).alias("partition"),
    )


def _log(chance: np.random.Generator, log: tuple[float, float], count: int) -> np.typing.NDArray[np.int64]:
    return np.maximum(np.rint(chance.lognormal(*log, count)), 1).astype(np.int64)
