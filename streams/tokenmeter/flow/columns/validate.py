"""Applies the accept rule to a decoded frame, in columns: which rows are usable, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator
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
_COST = pl.col("reported_cost")
_BEYOND = accept.COST_MAX_USD + 1
_COST_BEYOND = pl.when(_COST > accept.COST_MAX_USD).then(_BEYOND).when(_COST < -accept.COST_MAX_USD).then(-_BEYOND)
"""A decimal is no numpy number; whether it is beyond the rule's bounds is one."""


def _figures(column: pl.Series) -> Any:
    """Whole numbers, 0 where there is none; one 0 for a column of nothing."""
    if column.null_count() == len(column):
        return 0
    return (column.fill_null(0) if column.null_count() else column).to_numpy()


def _present(column: pl.Series) -> Any:
    """Whether each row has a value; one answer for all rows where they agree."""
    return not column.null_count() or (column.null_count() < len(column) and column.is_not_null().to_numpy())


def _event(frame: pl.DataFrame) -> dict[str, Any]:
    """The columns in the form the rule takes: numpy, or one value for all rows. Asking polars for as many comparisons
    costs 2 ms however few the rows, and a page is many small batches."""
    buckets, ratings, costs = (frame.get_column(name) for name in ("context_bucket", "rating", "reported_cost"))
    has_bucket, has_rating = _present(buckets), _present(ratings)
    return {
        **{name: _figures(frame.get_column(name)) for name in (*QUANTITY_FIELDS, *accept.INT_FIELDS, "calls")},
        **{f"{name}_us": _figures(frame.get_column(name).dt.epoch("us")) for name in accept.TIME_FIELDS},
        **{f"{name}_bytes": frame.get_column(name).str.len_bytes().to_numpy() for name in accept.NAME_FIELDS},
        "reported_cost": 0
        if costs.null_count() == len(costs)
        else _figures(frame.select_seq(_COST_BEYOND).to_series()),
        "is_correction": (frame.get_column("kind") == "CORRECTION").to_numpy(),
        "has_corrects": _present(frame.get_column("corrects")),
        "has_bucket": has_bucket,
        "has_known_bucket": has_bucket is not False and buckets.is_in(CONTEXT_BUCKET_NAMES).fill_null(False).to_numpy(),
        "has_rating": has_rating,
        "has_readable_rating": has_rating is not False
        and ratings.str.contains(RATING_PATTERN).fill_null(False).to_numpy(),
    }


def _violations(frame: pl.DataFrame, appended_at_ms: npt.NDArray[np.int64]) -> Iterator[tuple[str, Any]]:
    event = _event(frame)
    yield from accept.violations(event)
    yield from accept.time_violations(event["occurred_at_us"], appended_at_ms * 1_000)


def validate(frame: pl.DataFrame, appended_at_ms: npt.NDArray[np.int64]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split ``frame`` (rows of every event field) into (usable, refused); both carry APPENDED_AT_MS, refused REASON."""
    rules = [(reason, np.broadcast_to(bad, frame.height)) for reason, bad in _violations(frame, appended_at_ms)]
    frame = frame.with_columns_seq(pl.Series(APPENDED_AT_MS, appended_at_ms))
    bad = np.logical_or.reduce([violated for _, violated in rules])
    if not bad.any():
        return frame, frame.clear().with_columns_seq(pl.lit(None, pl.String).alias(REASON))
    reasons = np.select([violated[bad] for _, violated in rules], [reason for reason, _ in rules], "")
    refused = frame.filter(bad).with_columns_seq(pl.Series(REASON, reasons.tolist(), pl.String))
    return frame.filter(~bad), refused
