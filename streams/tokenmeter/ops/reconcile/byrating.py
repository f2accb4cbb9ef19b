"""Splits what a page's lines are beyond its raw events by rating, so that a correction carries the price it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import polars as pl

from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_USAGE_KEYS
from tokenmeter.ops.reconcile.corrections import BILLING_MEASURES, Key, Measures, PageDifference
from tokenmeter.ops.reconcile.pages import (
    PAGE,
    RATED_BY,
    Filter,
    RaterAt,
    as_metered,
    key_of,
    lines,
    places,
    raw_events,
    sums,
)
from tokenmeter.ops.reconcile.sources import Store

PAGES_AT_ONCE = 200


def split_by_rating(differences: Sequence[PageDifference], store: Store, rater_at: RaterAt) -> None:
    """Fill in ``PageDifference.ratings``; asks for raters only where a key of a page has lines of several ratings."""
    for begin in range(0, len(differences), PAGES_AT_ONCE):
        part = [page for page in differences[begin : begin + PAGES_AT_ONCE] if page.billing]
        if part:
            _split(part, store, rater_at)


def _split(differences: Sequence[PageDifference], store: Store, rater_at: RaterAt) -> None:
    where = places(store, ((page.partition, page.first_offset) for page in differences))
    metered = lines(store, where, Filter(customers=_customers(differences)))
    several = metered.filter(pl.col(RATED_BY).n_unique().over([*PAGE, *BILLING_USAGE_KEYS]) > 1)
    wrong = {(page.partition, page.first_offset): page for page in differences}
    mixed = _mixed(several, wrong)
    left = metered.select(*PAGE, *BILLING_USAGE_KEYS, RATED_BY, *BILLING_MEASURES)
    if mixed:
        needed = [place for place in where if (place.partition, place.first_offset) in mixed]
        names = {key[BILLING_USAGE_KEYS.index("customer_id")] for keys in mixed.values() for key in keys}
        events = raw_events(store, needed, Filter(customers=tuple(sorted(names))))
        taken = sums(as_metered(events, metered, needed, rater_at), [*PAGE, *BILLING_USAGE_KEYS, RATED_BY])
        negated = taken.with_columns(-pl.col(name) for name in BILLING_MEASURES)
        left = sums(pl.concat([left, negated.select(left.columns)]), [*PAGE, *BILLING_USAGE_KEYS, RATED_BY])
    found: dict[tuple[int, int], dict[Key, dict[str, Measures]]] = defaultdict(lambda: defaultdict(dict))
    for row in left.iter_rows(named=True):
        place, key = (row["partition"], row["first_offset"]), key_of(row)
        if key in wrong[place].billing:
            measures = {name: row[name] for name in BILLING_MEASURES}
            # The only rating of a key is that of all that is wrong with it.
            found[place][key][row[RATED_BY]] = measures if key in mixed.get(place, ()) else wrong[place].billing[key]
    for place, keys in found.items():
        for key, ratings in keys.items():
            wrong[place].ratings[key] = {rating: one for rating, one in ratings.items() if any(one.values())}
            _require_sum(wrong[place], key)


def _customers(differences: Sequence[PageDifference]) -> tuple[str, ...]:
    at = BILLING_USAGE_KEYS.index("customer_id")
    return tuple(sorted({key[at] for page in differences for key in page.billing}))


def _mixed(several: pl.DataFrame, wrong: dict[tuple[int, int], PageDifference]) -> dict[tuple[int, int], set[Key]]:
    """By page, the wrong keys that have lines of several ratings."""
    mixed: dict[tuple[int, int], set[Key]] = defaultdict(set)
    for row in several.select(*PAGE, *BILLING_USAGE_KEYS).unique().iter_rows(named=True):
        place = (row["partition"], row["first_offset"])
        if key_of(row) in wrong[place].billing:
            mixed[place].add(key_of(row))
    return mixed


def _require_sum(page: PageDifference, key: Key) -> None:
    for name in BILLING_MEASURES:
        split = sum(measures[name] for measures in page.ratings[key].values())
        if split != page.billing[key][name]:
            raise Fatal(
                f"{page.name} {key}: lines of all ratings are {split} {name} beyond the raw events, and "
                f"{page.billing[key][name]} together",
                hint=f"tokenmeter audit --partition {page.partition}",
            )
