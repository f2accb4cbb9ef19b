"""The comparison: theirs against ours, row by row, each with a verdict. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tokenmeter.ops.supplier.figures import EXACT, Figures, Key, Sums, Tolerance

MATCHED_WITHIN = Tolerance()


class Verdict(StrEnum):
    """What a row of the comparison says."""

    MATCHED = "matched"
    THEIRS_ONLY = "theirs only"
    OURS_ONLY = "ours only"
    DIFFERS = "amount differs"
    UNCOSTED = "no cost price"
    """Ours cannot be told: some of the calls have no cost price, so what they cost is unknown, not 0."""
    OTHER_CURRENCY = "other currency"
    """The amounts are in two currencies and are not compared."""


@dataclass(frozen=True)
class Row:
    """One day, model and currency on both sides; a side that has nothing there is None."""

    key: Key
    verdict: Verdict
    theirs: Figures | None
    ours: Figures | None

    @property
    def difference(self) -> Decimal | None:
        """Ours minus theirs; None where an amount is not known."""
        costs = [side.cost if side else Decimal(0) for side in (self.ours, self.theirs)]
        if costs[0] is None or costs[1] is None:
            return None
        return EXACT.subtract(costs[0], costs[1])


MEASURES = ("cost", "input_tokens", "output_tokens")


def compare(
    theirs: Sums, ours: Sums, tolerance: Tolerance = MATCHED_WITHIN, measures: Collection[str] = MEASURES[:1]
) -> list[Row]:
    """Every row of either side, by key. ``measures`` are those that decide; without ``cost`` no currency is looked at.

    Our calls without a cost price have no currency; they are put to the row of their day and model, so that it is not
    taken for a complete amount.
    """
    if "cost" not in measures:
        theirs, ours = _without_money(theirs), _without_money(ours)
    else:
        ours = _uncosted_beside_costed(theirs, ours)
    rows = []
    for key in sorted({*theirs, *ours}, key=lambda key: [part if part is not None else "" for part in map(str, key)]):
        one, other = theirs.get(key), ours.get(key)
        rows.append(Row(key, _verdict(one, other, tolerance, measures), one, other))
    return rows


def _without_money(sums: Sums) -> Sums:
    found: dict[Key, Figures] = defaultdict(Figures)
    for key, figures in sums.items():
        bare = Figures(None, figures.input_tokens, figures.output_tokens, figures.calls)
        found[key._replace(currency=None)] += bare
    return found


def _uncosted_beside_costed(theirs: Sums, ours: Sums) -> Sums:
    currencies: dict[Key, set[str | None]] = defaultdict(set)
    for key in (*theirs, *ours):
        if key.currency is not None:
            currencies[key._replace(currency=None)].add(key.currency)
    found: dict[Key, Figures] = defaultdict(Figures)
    for key, figures in ours.items():
        known = currencies[key._replace(currency=None)]
        # Of two currencies neither is the one: then these calls stay a row of their own.
        found[key._replace(currency=next(iter(known))) if key.currency is None and len(known) == 1 else key] += figures
    return found


def _verdict(theirs: Figures | None, ours: Figures | None, tolerance: Tolerance, measures: Collection[str]) -> Verdict:
    if ours is None:
        return Verdict.THEIRS_ONLY
    if "cost" in measures and ours.uncosted_calls:
        return Verdict.UNCOSTED
    if theirs is None:
        return Verdict.OURS_ONLY
    for name in measures:
        their, our = getattr(theirs, name), getattr(ours, name)
        if their is None or our is None or not tolerance.allows(Decimal(their), Decimal(our)):
            return Verdict.DIFFERS
    return Verdict.MATCHED


def compare_reported(sums: dict[Key, tuple[Figures, Figures]], tolerance: Tolerance, currency: str) -> list[Row]:
    """Upstream's own figure for each call against our cost of those calls, by key: (reported, ours).

    Upstreams report in ``currency``; what costs us in another is shown and not compared.
    """
    rows = []
    for key, (reported, ours) in sorted(sums.items(), key=lambda item: [str(part) for part in item[0]]):
        if ours.uncosted_calls or ours.cost is None:
            verdict = Verdict.UNCOSTED
        elif key.currency != currency:
            verdict = Verdict.OTHER_CURRENCY
        else:
            verdict = _verdict(reported, ours, tolerance, ("cost",))
        rows.append(Row(key, verdict, reported, ours))
    return rows
