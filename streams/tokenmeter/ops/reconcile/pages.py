"""The raw events and the lines of some pages, as frames, and what each raw event was rated by when it was metered.

Owns the one answer to "by which rating was this call metered": the page's line says it where all lines of its key say
the same; where they do not, the event is rated again by the catalog as the page knew it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import BILLING_USAGE_KEYS, ERROR_STATUS_MIN, RATING_KEYS
from tokenmeter.flow.rate.rated import RATING, Rater
from tokenmeter.ops.reconcile.sources import Store

PAGE = ("partition", "first_offset")
RATED_BY = "rated_by"
"""Column: the rating as ``tokenmeter.events.rating.Rating.text`` writes it."""
MEASURES: tuple[str, ...] = ("events", "errors", *QUANTITY_FIELDS)
BEGINNING, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)

RaterAt = Callable[[int], Rater]
"""The rater that knows the catalog below an offset."""


@dataclass(frozen=True)
class Place:
    """A page, and the catalog it was rated by."""

    partition: int
    first_offset: int
    last_offset: int
    catalog_offset: int


@dataclass(frozen=True)
class Filter:
    """Which usage: hours [since, until), models and customers; empty: all."""

    since: datetime = BEGINNING
    until: datetime = END
    models: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """As the queries take it."""
        return {
            "since": self.since,
            "until": self.until,
            "models": list(self.models),
            "customers": list(self.customers),
        }


EVERYTHING = Filter()


def places(store: Store, pages: Iterable[tuple[int, int]]) -> list[Place]:
    """The places of pages that are named by partition and first offset."""
    wanted = sorted(set(pages))
    named = {"partitions": [p for p, _ in wanted], "firsts": [first for _, first in wanted]}
    return [Place(**row) for row in store.rows("page_places", **named)]


def raw_events(store: Store, pages: Sequence[Place], only: Filter = EVERYTHING) -> pl.DataFrame:
    """The raw events of ``pages``: PAGE, and what a Rater and the line keys need."""
    named = _named(pages) | {"lasts": [page.last_offset for page in pages]}
    names = {name: value for name, value in only.parameters().items() if name in ("models", "customers")}
    frame = store.frame("raw_of_pages", **named, **names)
    return frame.filter(pl.col("occurred_at").is_between(only.since, only.until, closed="left")).with_columns(
        pl.col("occurred_at").dt.cast_time_unit("us"),
        pl.col("occurred_at").dt.truncate("1h").dt.cast_time_unit("us").alias("occurred_hour"),
        *weights(),
    )


def lines(store: Store, pages: Sequence[Place], only: Filter = EVERYTHING) -> pl.DataFrame:
    """The billing lines of ``pages``: PAGE, BILLING_USAGE_KEYS, RATED_BY and MEASURES."""
    frame = store.frame("lines_of_pages", **_named(pages), **only.parameters())
    return frame.rename({"rating": RATED_BY}).with_columns(pl.col("occurred_hour").dt.cast_time_unit("us"))


def _named(pages: Sequence[Place]) -> dict[str, Any]:
    return {"partitions": [page.partition for page in pages], "firsts": [page.first_offset for page in pages]}


def weights() -> list[pl.Expr]:
    """``events`` and ``errors`` of an event: a CORRECTION counts as many calls as it says."""
    calls = pl.when(pl.col("corrects").is_null()).then(1).otherwise(pl.col("calls")).cast(pl.Int64)
    failed = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
    return [calls.alias("events"), (calls * failed.cast(pl.Int64)).alias("errors")]


def rating_text(terms: Sequence[str] = RATING_KEYS) -> pl.Expr:
    """RATED_BY of the columns that say it."""
    return pl.concat_str([pl.col(name).fill_null("") for name in terms], separator="|").alias(RATED_BY)


def rate(events: pl.DataFrame, rater: Rater) -> pl.Series:
    """By what ``rater`` rates each event."""
    numbers = rater.rate(events)[RATING]
    terms = rater.terms(numbers.unique().to_list()).select(RATING, rating_text())
    return numbers.to_frame(RATING).join(terms, on=RATING, how="left", maintain_order="left")[RATED_BY]


def as_metered(events: pl.DataFrame, metered: pl.DataFrame, pages: Sequence[Place], rater_at: RaterAt) -> pl.DataFrame:
    """``events`` with RATED_BY: what the page's lines (``metered``) or the catalog at the page's offset say."""
    keys = [*PAGE, *BILLING_USAGE_KEYS]
    ratings = metered.group_by(keys).agg(pl.col(RATED_BY).unique())
    sole = ratings.filter(pl.col(RATED_BY).list.len() == 1).with_columns(pl.col(RATED_BY).list.first())
    known = events.join(sole, on=keys, how="left", nulls_equal=True)
    told = [known.filter(pl.col(RATED_BY).is_not_null())]
    unknown = known.filter(pl.col(RATED_BY).is_null())
    offsets = pl.DataFrame(
        [(page.partition, page.first_offset, page.catalog_offset) for page in pages],
        schema={"partition": pl.Int32, "first_offset": pl.Int64, "_catalog": pl.Int64},
        orient="row",
    )
    for (catalog_offset,), part in unknown.join(offsets, on=PAGE, how="left").group_by("_catalog"):
        rows = part.drop("_catalog", RATED_BY)
        told.append(rows.with_columns(rate(rows, rater_at(int(catalog_offset)))))
    return pl.concat([part.select(known.columns) for part in told])


def sums(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """MEASURES added up by ``keys``."""
    return frame.group_by(keys).agg(pl.col(MEASURES).sum())


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row's BILLING_USAGE_KEYS."""
    return tuple(row[name] for name in BILLING_USAGE_KEYS)
