"""Rates the events of a page in columns and adds them to its lines, of every level. Pure; exact, or said not to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenmeter.audit.amounts import Bools, limbs, total
from tokenmeter.audit.charges import COUNTED
from tokenmeter.audit.facts import Facts, Keys
from tokenmeter.audit.lines import LineTotals, line_hashes
from tokenmeter.audit.ratings import UNPRICED, Ratings
from tokenmeter.audit.recount import RESALE_LINES, Recount, Rules
from tokenmeter.audit.walked import I64, U64

EXACT_BELOW = 2**62
"""Products that might not be smaller are multiplied as Python integers."""


@dataclass
class PageTotals:
    """A page being counted, and its lines by hash. Not ``exact``: something outgrew 64 bits, its money is not to be
    believed, and the reference must count the page."""

    recount: Recount
    rules: Rules
    lines: dict[str, LineTotals] = field(default_factory=dict)
    exact: bool = True

    def __post_init__(self) -> None:
        self.lines = {kind.record: LineTotals(kind) for kind in self.rules.kinds}


def add(page: PageTotals, facts: Facts, numbers: I64, ratings: Ratings, keys: Keys) -> None:
    """Add metered events; ``numbers`` are their ratings."""
    counts = facts.measures
    charge, charge_exact = charged(ratings, ratings.price[numbers], counts)
    cost, cost_exact = charged(ratings, ratings.cost[numbers], counts)
    priced, costed = ratings.price[numbers] != UNPRICED, ratings.cost[numbers] != UNPRICED
    page.exact &= bool(facts.exact.all() and charge_exact.all() and cost_exact.all())
    page.recount.unpriced += int(np.count_nonzero(~priced))
    _earn(page.recount.charges, ratings, ratings.currency[numbers], charge)
    _earn(page.recount.costs, ratings, ratings.cost_currency[numbers], cost)
    measures = {
        **counts,
        "priced": priced.astype(np.int64),
        "costed": costed.astype(np.int64),
        "unpriced": counts["events"] * ~priced,
        "uncosted": counts["events"] * ~costed,
        "charge": charge,
        "cost": cost,
        "reported_calls_cost": counts["reported_calls"] * cost,
    }
    for record, totals in page.lines.items():
        if totals.kind == RESALE_LINES:
            _add_levels(page, totals, facts.lines[record], numbers, measures, ratings, keys)
        else:
            totals.add(line_hashes(facts.lines[record], ratings.hashes[totals.kind][numbers], keys), measures)


def _add_levels(
    page: PageTotals,
    totals: LineTotals,
    usage: U64,
    numbers: I64,
    measures: Mapping[str, I64],
    ratings: Ratings,
    keys: Keys,
) -> None:
    depth = ratings.depth[numbers]
    for above in range(int(depth.max(initial=0))):
        rows = np.flatnonzero(depth > above)
        place = ratings.level_begin[numbers[rows]] + above
        price = ratings.level_price[place]
        counts: dict[str, Any] = {name: column[rows] for name, column in measures.items()}
        counts["charge"], exact = charged(ratings, price, counts)
        counts["priced"] = (price != UNPRICED).astype(np.int64)
        page.exact &= bool(exact.all())
        totals.add(line_hashes(usage[rows], ratings.level_hashes[place], keys), counts)


def charged(ratings: Ratings, price: I64, counts: Mapping[str, I64]) -> tuple[I64, Bools]:
    """Pico-units of each event at the price of that number, 0 where unpriced, and whether 64 bits hold them."""
    amounts, bound, parts = np.zeros(len(price), np.int64), 0, []
    for column, name in enumerate(COUNTED):
        if not counts[name].any():  # most kinds of tokens are in no event of a block
            continue
        units = ratings.weights[price, column]
        if units.any():
            parts.append((units, counts[name]))
            bound += int(np.abs(units).max()) * int(np.abs(counts[name]).max())
    if bound < EXACT_BELOW:
        for units, count in parts:
            amounts += units * count
        return amounts, np.ones(len(price), bool)
    exactly = np.zeros(len(price), object)
    for units, count in parts:
        exactly += units.astype(object) * count.astype(object)
    held = np.array([abs(amount) < EXACT_BELOW for amount in exactly], bool)
    return np.where(held, exactly, 0).astype(np.int64), held


def _earn(by_currency: dict[str, int], ratings: Ratings, currency: I64, amounts: I64) -> None:
    """Add amounts to their currency; what has none has no amount, or costs nothing."""
    there = np.bincount(currency, minlength=len(ratings.currencies))
    for name, number in ratings.currencies.items():
        if name is not None and there[number]:
            mine = amounts if there[number] == len(amounts) else amounts[currency == number]
            by_currency[name] = by_currency.get(name, 0) + total(*limbs(mine))
