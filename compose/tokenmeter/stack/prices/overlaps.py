"""Prices that would match one call with nothing to choose between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations

from tokenmeter.events.catalog import Price, PriceTerms
from tokenmeter.flow.rate.timeline import epoch_us
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.windows import minutes_of

Group = tuple[object, ...]


def group_of(price: PriceTerms) -> Group:
    """All that decides between two prices but for which minutes they hold: only within a group can there be a tie."""
    return (
        price.book,
        price.model,
        price.provider,
        price.variant,
        price.service_tier,
        price.min_input_tokens,
        price.window_start_minute is not None,
        price.weekdays.bit_count(),
    )


def ties(catalog: Catalog, only: frozenset[str] | None = None) -> Iterator[tuple[PriceTerms, PriceTerms, datetime]]:
    """(a price, another of equal rank, from when on) for each pair that holds in one minute of the week.

    ``only``: pairs with one of these row ids in them. A pair is told once, from the first time on.
    """
    timeline = catalog.timeline(Price)
    groups: dict[Group, dict[tuple[object, ...], None]] = defaultdict(dict)
    rows: dict[Group, list[PriceTerms]] = defaultdict(list)
    for row in timeline.rows():
        if isinstance(row, PriceTerms):
            groups[group_of(row)][row.key] = None
            rows[group_of(row)].append(row)
    for group, keys in groups.items():
        if len(keys) < 2 or (only is not None and not any(row.row_id in only for row in rows[group])):
            continue
        told: set[tuple[str, str]] = set()
        for at in sorted({row.effective_from for row in rows[group]}):
            found = [timeline.in_force(key, epoch_us(at)) for key in keys]
            prices = [row for row in found if isinstance(row, PriceTerms) and not row.withdrawn]
            for one, other in combinations(prices, 2):
                pair = (one.row_id, other.row_id)
                if (
                    (only is None or not only.isdisjoint(pair))
                    and pair not in told
                    and minutes_of(one) & minutes_of(other)
                ):
                    told.add(pair)
                    yield one, other, at
