"""What is to be booked so that usage is charged by its new rating. Pure.

The calls of a page that agree in all that a line is grouped by, and in outcome and flags, are a *group*. What a group
has used is known from raw events and never changes; rated and re-rated, its usage lies at one or several ratings. The
moves of a group take it from where it lies to where it should: minus at one rating, plus at another, nothing in sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl
from pydantic import ValidationError

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import (
    BILLING_USAGE_KEYS,
    CONTEXT_BUCKET_TOP,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    MARKET_USAGE_KEYS,
    RATE_LIMITED_STATUS,
)
from tokenmeter.events.models import Kind
from tokenmeter.ops.reconcile.pages import MEASURES, PAGE, RATED_BY

SOURCE = "tokenmeter-rerate"
"""The emitter named in every correction made here."""
FAILED_STATUS, OK_STATUS = 500, 200
OUTCOME = "outcome"
"""Column: the status that stands for a call's: it did not fail, it was limited, or it failed."""
FLAGS = ("streamed", "cancelled", "byok")
_USAGE = tuple(dict.fromkeys((*BILLING_USAGE_KEYS, *MARKET_USAGE_KEYS)))
GROUP: tuple[str, ...] = (*PAGE, *_USAGE, OUTCOME, *FLAGS)
BOOKED = "_booked"
"""How many corrections of ours a group has had."""
ID_BYTES = 16


def grouped(events: pl.DataFrame) -> pl.DataFrame:
    """MEASURES by GROUP and RATED_BY, and BOOKED."""
    failed = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
    limited = pl.col("status") == RATE_LIMITED_STATUS
    status = pl.when(limited).then(RATE_LIMITED_STATUS).when(failed).then(FAILED_STATUS).otherwise(OK_STATUS)
    outcome = status.cast(pl.Int32).alias(OUTCOME)
    ours = (pl.col("source") == SOURCE) & pl.col("corrects").is_not_null()
    return (
        events.with_columns(outcome, pl.coalesce("context_bucket", _bucket()).alias("context_bucket"))
        .group_by(*GROUP, RATED_BY)
        .agg(pl.col(MEASURES).sum(), ours.sum().cast(pl.Int64).alias(BOOKED))
    )


def _bucket() -> pl.Expr:
    bucket = pl.lit(CONTEXT_BUCKET_TOP)
    for below, name in reversed(CONTEXT_BUCKETS):
        bucket = pl.when(pl.col("input_tokens").abs() < below).then(pl.lit(name)).otherwise(bucket)
    return bucket


def moves(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """What to add at each rating, by GROUP and RATED_BY, so that usage grouped as ``before`` lies as ``after``; no rows
    of zeros. BOOKED is that of the whole group."""
    booked = before.group_by(GROUP).agg(pl.col(BOOKED).sum())
    columns = [*GROUP, RATED_BY, *MEASURES]
    taken = before.select(columns).with_columns(-pl.col(name) for name in MEASURES)
    left = pl.concat([after.select(columns), taken]).group_by(*GROUP, RATED_BY).agg(pl.col(MEASURES).sum())
    left = left.filter(pl.any_horizontal(pl.col(name) != 0 for name in MEASURES))
    found = left.join(booked, on=GROUP, how="left", nulls_equal=True).with_columns(pl.col(BOOKED).fill_null(0))
    # What is taken comes first, so that a page that is cut between the two charges too little for a moment, not twice.
    return found.sort(*GROUP, "events", *MEASURES, RATED_BY, nulls_last=False)


def corrections(found: pl.DataFrame) -> list[UsageEvent]:
    """The events that book ``moves``."""
    return [_event(row) for row in found.iter_rows(named=True)]


def correction_id(row: Mapping[str, Any]) -> str:
    """A digest of page, group and rating, and of how often the group was corrected before: the same in every run that
    sees the same state, and another for every later step."""
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    for name in (*GROUP, RATED_BY, BOOKED):
        fact = row[name]
        digest.update((fact.isoformat() if isinstance(fact, datetime) else repr(fact)).encode() + b"\x00")
    return f"rerate-{digest.hexdigest()}"


def page_name(row: Mapping[str, Any]) -> str:
    """What a correction says it corrects."""
    return f"page:{row['partition']}@{row['first_offset']}"


def _event(row: Mapping[str, Any]) -> UsageEvent:
    fields = {name: row[name] for name in (*_USAGE, *FLAGS, *QUANTITY_FIELDS)}
    hour = fields.pop("occurred_hour")
    try:
        return UsageEvent(
            event_id=correction_id(row),
            kind=Kind.CORRECTION,
            corrects=page_name(row),
            occurred_at=hour,
            source=SOURCE,
            status=row[OUTCOME],
            calls=row["events"],
            rating=row[RATED_BY],
            **fields,
        )
    except ValidationError as error:
        raise Fatal(f"{page_name(row)}: what is to be moved does not fit into an event: {error}") from error
