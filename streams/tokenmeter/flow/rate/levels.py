"""What each account of a chain pays for a call, by its plan: "What an account pays" of ``pricing.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tokenmeter.events.catalog import COST_BOOK, Plan, PlanBase, PriceTerms
from tokenmeter.events.rating import PPM, price_id

BestOf: TypeAlias = Callable[[str], PriceTerms | None]
"""The best price of a book, by its name, for the call in question."""
IsPayable: TypeAlias = Callable[[PriceTerms, tuple[int, ...]], bool]
"""Whether a price stays within what an account may be charged after its factors."""
Paid: TypeAlias = tuple[PriceTerms, tuple[int, ...]]
"""A price row and the factors on it, in parts per million, in the order in which they apply."""


def paid_by(plans: Sequence[Plan | None], best_of: BestOf, is_payable: IsPayable) -> list[Paid | None]:
    """What each account pays before a BYOK fee; ``plans`` are the chain's, the customer's first; None: unpriced."""
    pays: list[Paid | None] = []
    above: Paid | None = None
    for level, plan in reversed(list(enumerate(plans))):
        paid = None
        if plan is not None:
            paid = _paid(plan, above, level == len(plans) - 1, best_of)
        if paid is not None and not is_payable(*paid):
            paid = None
        above = paid
        pays.append(paid)
    return pays[::-1]


def _paid(plan: Plan, above: Paid | None, is_last: bool, best_of: BestOf) -> Paid | None:
    fixed = None if plan.override_book is None else best_of(plan.override_book)
    base: Paid | None
    if fixed is not None:
        base, margin = (fixed, ()), PPM
    else:
        margin = PPM + plan.margin_ppm
        if plan.base == PlanBase.BUY and not is_last:
            base = above
        else:
            book = plan.base_book if plan.base == PlanBase.BOOK else COST_BOOK
            found = None if book is None else best_of(book)
            base = None if found is None else (found, ())
    if base is None or plan.currency not in (None, base[0].currency):
        return None
    row, factors = base
    return row, factors if margin == PPM else (*factors, margin)


def charged(plan: Plan | None, paid: Paid | None, byok: bool, is_payable: IsPayable) -> str | None:
    """The id of the price that an account is charged by for what it pays, its plan's BYOK fee included."""
    if plan is None or paid is None:
        return None
    row, factors = paid
    if byok:
        factors = (*factors, plan.byok_fee_ppm)
    return price_id(row.row_id, factors) if is_payable(row, factors) else None
