"""Applies the accept rule to a decoded frame, in columns: which rows are usable, and why the others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events import accept
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES
from tokenmeter.events.rating import RATING_PATTERN

APPENDED_AT_MS = "_appended_at_ms"
"""Column with the broker's append time of each row."""
REASON = "_reason"


def _event() -> dict[str, Any]:
    """The columns in the form the rule takes; a missing optional figure counts as 0."""
    return {
        **{name: pl.col(name) for name in QUANTITY_FIELDS},
        **{name: pl.col(name).fill_null(0) for name in accept.INT_FIELDS},
        **{f"{name}_us": pl.col(name).dt.epoch("us").fill_null(0) for name in accept.TIME_FIELDS},
        **{f"{name}_bytes": pl.col(name).str.len_bytes().cast(pl.Int64) for name in accept.NAME_FIELDS},
        "reported_cost": pl.col("reported_cost").fill_null(0),
        "is_correction": pl.col("kind") == "CORRECTION",
        "has_corrects": pl.col("corrects").is_not_null(),
        "calls": pl.col("calls"),
        "has_bucket": pl.col("context_bucket").is_not_null(),
        "has_known_bucket": pl.col("context_bucket").is_in(CONTEXT_BUCKET_NAMES).fill_null(False),
        "has_rating": pl.col("rating").is_not_null(),
        "has_readable_rating": pl.col("rating").str.contains(RATING_PATTERN).fill_null(False),
    }


def _rules() -> list[tuple[str, pl.Expr]]:
    event = _event()
    return [
        *accept.violations(event),
        *accept.time_violations(event["occurred_at_us"], pl.col(APPENDED_AT_MS) * 1000),
    ]


_RULES = _rules()
_ANY = pl.any_horizontal([violated for _, violated in _RULES]).alias(REASON)
_REASON = pl.coalesce([pl.when(violated).then(pl.lit(reason)) for reason, violated in _RULES]).alias(REASON)


def judge(frame: pl.DataFrame, appended_at_ms: npt.NDArray[np.int64]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split ``frame`` (rows of every event field) into (usable, refused); both carry APPENDED_AT_MS, refused REASON."""
    frame = frame.with_columns(pl.Series(APPENDED_AT_MS, appended_at_ms))
    bad = frame.select(_ANY).to_series()
    if not bad.any():
        return frame, frame.clear().with_columns(pl.lit(None, pl.String).alias(REASON))
    return frame.filter(~bad), frame.filter(bad).with_columns(_REASON)
