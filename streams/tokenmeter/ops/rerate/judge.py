"""Judges the usage of some pages: what must move, and what cannot be re-rated for want of its raw events. Pure.

What a page's lines say, plus what reconcile took off them, must be what its raw events add up to by key and rating.
Where it is not, raw events have gone or copies are still counted, and nothing of that key is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from tokenmeter.events.accept import LATE_MAX_US
from tokenmeter.events.lines import BILLING_USAGE_KEYS
from tokenmeter.flow.rate.rated import Rater
from tokenmeter.ops.reconcile.pages import MEASURES, PAGE, RATED_BY, Place, RaterAt, as_metered, rate, sums
from tokenmeter.ops.reconcile.run import JUDGED_DAYS, RAW_DAYS
from tokenmeter.ops.rerate.moves import grouped, moves

GONE = f"cannot be re-rated: raw events are older than {RAW_DAYS} days"
DIFFERS = "cannot be re-rated: its lines are not what its raw events add up to (tokenmeter reconcile)"
LATE = f"cannot be booked: ended more than {LATE_MAX_US // 86_400_000_000} days ago"
_LATE_MARGIN = timedelta(hours=2)
_KEYS = [*PAGE, *BILLING_USAGE_KEYS]


@dataclass(frozen=True)
class PageUsage:
    """What is known of some pages. All frames have PAGE, BILLING_USAGE_KEYS and MEASURES; ``raw`` and ``booked`` are
    events, ``metered`` (lines) and ``reconciled`` (what reconcile took off them) also have RATED_BY."""

    places: Sequence[Place]
    closed_at: dict[tuple[int, int], datetime]
    raw: pl.DataFrame
    metered: pl.DataFrame
    reconciled: pl.DataFrame
    booked: pl.DataFrame


@dataclass(frozen=True)
class Judgement:
    """``before`` and ``after``: usage of the groups that move, grouped; ``moves`` what to book; ``left``: reason and
    calls of what is left as it is, by page and key."""

    before: pl.DataFrame
    after: pl.DataFrame
    moves: pl.DataFrame
    left: pl.DataFrame = field(default_factory=pl.DataFrame)


def judge(usage: PageUsage, new: Rater, rater_at: RaterAt, now: datetime) -> Judgement:
    """Compare how usage is rated with how ``new`` rates it."""
    raw = as_metered(usage.raw, usage.metered, usage.places, rater_at)
    left = _left(usage, raw, now)
    whole = raw.join(left.select(_KEYS), on=_KEYS, how="anti", nulls_equal=True)
    # A rating that was given is not a choice of the catalog's: reconcile's, ours, and a user's own.
    chosen = whole.filter(pl.col("rating").is_null())
    booked = usage.booked.join(left.select(_KEYS), on=_KEYS, how="anti", nulls_equal=True)
    renewed = chosen.with_columns(rate(chosen, new)) if chosen.height else chosen
    columns = chosen.columns
    before = grouped(
        pl.concat(
            [
                chosen,
                booked.rename({"rating": RATED_BY})
                .with_columns(pl.lit(None, pl.String).alias("rating"))
                .select(columns),
            ]
        )
    )
    after = grouped(renewed)
    found = moves(before, after)
    touched = found.select(before.columns[: before.columns.index(RATED_BY)]).unique()
    on = touched.columns
    return Judgement(
        before.join(touched, on=on, how="semi", nulls_equal=True),
        after.join(touched, on=on, how="semi", nulls_equal=True),
        found,
        left,
    )


def _left(usage: PageUsage, raw: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Page and key of what must be left, with its ``calls`` and the ``reason``."""
    by = [*_KEYS, RATED_BY]
    # What reconcile took off before corrections carried a rating, it took off the only one of its key.
    sole = usage.metered.select(*_KEYS, pl.col(RATED_BY).alias("_sole")).unique(_KEYS)
    taken = usage.reconciled.join(sole, on=_KEYS, how="left", nulls_equal=True)
    taken = taken.with_columns(pl.coalesce(RATED_BY, "_sole").alias(RATED_BY))
    columns = [*by, *MEASURES]
    negated = raw.select(columns).with_columns(-pl.col(name) for name in MEASURES)
    difference = sums(pl.concat([usage.metered.select(columns), taken.select(columns), negated]), by)
    wrong = difference.filter(pl.any_horizontal(pl.col(name) != 0 for name in MEASURES)).select(_KEYS).unique()
    closed = pl.DataFrame(
        [(*place, at) for place, at in usage.closed_at.items()],
        schema={"partition": pl.Int32, "first_offset": pl.Int64, "closed_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    calls = usage.metered.group_by(_KEYS).agg(pl.col("events").sum().alias("calls"))
    wrong = wrong.join(closed, on=PAGE, how="left").with_columns(
        pl.when(pl.col("closed_at") < now - timedelta(days=JUDGED_DAYS))
        .then(pl.lit(GONE))
        .otherwise(pl.lit(DIFFERS))
        .alias("reason")
    )
    oldest = now - timedelta(microseconds=LATE_MAX_US) + _LATE_MARGIN
    late = (
        calls.filter(pl.col("occurred_hour") < oldest)
        .join(wrong, on=_KEYS, how="anti", nulls_equal=True)
        .select(*_KEYS, pl.lit(LATE).alias("reason"))
    )
    found = pl.concat([wrong.select(*_KEYS, "reason"), late])
    return found.join(calls, on=_KEYS, how="left", nulls_equal=True).with_columns(pl.col("calls").fill_null(0))
