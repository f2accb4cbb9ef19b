"""Pages, lines and corrections in memory: what was metered is rated and added up by the audit's oracle, one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from support.catalog_rows import frame
from support.usage_totals import bucket
from tokenmeter.audit.charges import EVERY_ROW, Charges
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import BILLING_USAGE_KEYS, MARKET_USAGE_KEYS
from tokenmeter.events.rating import Rating
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.ops.reconcile.pages import MEASURES, PAGE, RATED_BY, Place, weights

PAGE_OFFSETS = 1_000
Totals = dict[tuple[Any, ...], dict[str, int]]
COUNTS = ("events", "errors", *QUANTITY_FIELDS)
FLAGS = ("rate_limited", "streamed", "cancelled", "byok")


@dataclass
class World:
    """``metered`` are each page's events, copies included; page n knew the catalog below ``known[n]``."""

    catalog: Sequence[CatalogRow]
    known: Sequence[int]
    metered: Sequence[Sequence[UsageEvent]]
    charges: Charges = field(init=False)

    def __post_init__(self) -> None:
        self.charges = Charges(enumerate(self.catalog))

    @property
    def places(self) -> list[Place]:
        return [Place(0, n * PAGE_OFFSETS, n * PAGE_OFFSETS + len(page), x) for n, (page, x) in self._pages]

    @property
    def _pages(self) -> Iterable[tuple[int, tuple[Sequence[UsageEvent], int]]]:
        return enumerate(zip(self.metered, self.known, strict=True))

    def rater_at(self, offset: int) -> BookRater:
        return BookRater(Book(enumerate(self.catalog[:offset]), offset))

    def rating(self, one: UsageEvent, x: int = EVERY_ROW) -> Rating:
        return self.charges.rating_of_event(one.to_record(), x)

    def first_copies(self) -> list[list[UsageEvent]]:
        """Of each identity the first, on the page where it lies."""
        seen: set[tuple[str, str]] = set()
        found: list[list[UsageEvent]] = []
        for page in self.metered:
            found.append([])
            for one in page:
                if (one.customer_id, one.event_id) not in seen:
                    seen.add((one.customer_id, one.event_id))
                    found[-1].append(one)
        return found

    def lines(self) -> pl.DataFrame:
        """As ``pages.lines`` has them."""
        rows = []
        for n, (page, x) in self._pages:
            sums: Totals = defaultdict(lambda: dict.fromkeys(COUNTS, 0))
            for one in page:
                _add(sums[(*usage_key(one), self.rating(one, x).text)], one)
            rows += [(0, n * PAGE_OFFSETS, *key, *measures.values()) for key, measures in sums.items()]
        names = [*PAGE, *BILLING_USAGE_KEYS, RATED_BY, *MEASURES]
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None).with_columns(_TYPES)

    def raw(self) -> pl.DataFrame:
        """As ``pages.raw_events`` has them."""
        return on_pages([(n * PAGE_OFFSETS, one) for n, page in enumerate(self.first_copies()) for one in page])


_TYPES = [
    pl.col("partition").cast(pl.Int32),
    pl.col("occurred_hour").dt.cast_time_unit("us").dt.convert_time_zone("UTC"),
    *(pl.col(name).cast(pl.String) for name in (*BILLING_USAGE_KEYS[:-1], RATED_BY)),
]


def on_pages(events: Sequence[tuple[int, UsageEvent]]) -> pl.DataFrame:
    """(first offset of the page, event) in columns."""
    made = frame([one for _, one in events]) if events else frame([_NOBODY]).clear()
    return made.with_columns(
        pl.lit(0, pl.Int32).alias("partition"),
        pl.Series("first_offset", [first for first, _ in events], pl.Int64),
        pl.col("occurred_at").dt.truncate("1h").alias("occurred_hour"),
        *weights(),
    )


_NOBODY = UsageEvent(
    event_id="e", occurred_at=datetime.fromisoformat("2026-11-01T00:00Z"), customer_id="c", model="m", provider="p"
)


def usage_key(one: UsageEvent) -> tuple[Any, ...]:
    record = _with_hour(one)
    return tuple(record[name] for name in BILLING_USAGE_KEYS)


def _with_hour(one: UsageEvent) -> dict[str, Any]:
    record = one.to_record()
    record["occurred_hour"] = one.occurred_at.replace(minute=0, second=0, microsecond=0)
    record["context_bucket"] = record["context_bucket"] or bucket(abs(record["input_tokens"]))
    return record


def _add(sums: dict[str, int], one: UsageEvent) -> None:
    calls = 1 if one.corrects is None else one.calls
    sums["events"] += calls
    sums["errors"] += calls * (one.status >= 400 or one.error_class is not None)
    for name in QUANTITY_FIELDS:
        sums[name] += getattr(one, name)


def billing(charges: Charges, rated: Iterable[tuple[UsageEvent, Rating]]) -> Totals:
    """By billing key and rating: what was used, and every account's charge of it."""
    found: Totals = defaultdict(lambda: defaultdict(int))
    for one, rating in rated:
        sums = found[(*usage_key(one), rating.text)]
        _add(sums, one)
        counts = counts_of(one)
        payers = [("charge", rating.price_id), ("cost", rating.cost_price_id)]
        payers += [(f"level {level.account_id}", level.price_id) for level in rating.levels]
        for name, paid in payers:
            sums[name] += charges.charge(paid, counts) or 0
    return without_zeros(found)


def market(charges: Charges, rated: Iterable[tuple[UsageEvent, Rating]]) -> Totals:
    """By market key and currencies: what was used, flags, and money."""
    found: Totals = defaultdict(lambda: defaultdict(int))
    for one, rating in rated:
        record, calls = _with_hour(one), 1 if one.corrects is None else one.calls
        money = (charges.currency(rating.price_id), charges.currency(rating.cost_price_id))
        sums = found[(*(record[name] for name in MARKET_USAGE_KEYS), *money)]
        _add(sums, one)
        sums["rate_limited"] += calls * (one.status == 429)
        for flag in FLAGS[1:]:
            sums[flag] += calls * record[flag]
        counts = counts_of(one)
        for name, paid in (("charge", rating.price_id), ("cost", rating.cost_price_id)):
            amount = charges.charge(paid, counts)
            sums[name] += amount or 0
            sums[f"without {name}"] += calls * (amount is None)
    return without_zeros(found)


def counts_of(one: UsageEvent) -> dict[str, int]:
    """What one event adds to a line."""
    counts = dict.fromkeys(COUNTS, 0)
    _add(counts, one)
    return counts


def without_zeros(totals: Totals) -> Totals:
    """Without figures of 0, and keys that have no other."""
    kept = {key: {name: n for name, n in sums.items() if n} for key, sums in totals.items()}
    return {key: sums for key, sums in kept.items() if sums}
