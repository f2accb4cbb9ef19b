"""What an account pays for a call, by its plan: "What an account pays" of ``pricing.md``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tokenmeter.events.catalog import Plan, PriceTerms
from tokenmeter.events.catalog_row import COST_BOOK, UNIT_PRICE_MAX, PlanBase
from tokenmeter.events.rating import PPM, half_even, pico

UNIT_PRICE_MAX_PICO = pico(UNIT_PRICE_MAX)


class Paid(NamedTuple):
    """A price with the factors it went through; ``dearest_pico`` is the greatest of its unit prices."""

    price_id: str
    currency: str
    dearest_pico: int


def of_row(row: PriceTerms) -> Paid:
    """A price row's own prices."""
    return Paid(row.row_id, row.currency, max(row.units_pico().values()))


def times(paid: Paid, factor_ppm: int) -> Paid | None:
    """A price after one more factor; None when that makes a unit price greater than UNIT_PRICE_MAX."""
    if factor_ppm == PPM:
        return paid
    # Rounding keeps the order: the dearest unit price stays the dearest.
    dearest = half_even(paid.dearest_pico * factor_ppm, PPM)
    return Paid(f"{paid.price_id}*{factor_ppm}", paid.currency, dearest) if dearest <= UNIT_PRICE_MAX_PICO else None


def paid_by(plan: Plan | None, above: Paid | None, is_last: bool, best_of: Callable[[str], Paid | None]) -> Paid | None:
    """What an account on this plan pays before a BYOK fee; None: unpriced.

    ``above`` is what its parent pays, ``is_last`` says that it has none.
    """
    if plan is None:
        return None
    base = None if plan.override_book is None else best_of(plan.override_book)
    margin_ppm = 0
    if base is None:
        margin_ppm = plan.margin_ppm
        if plan.base == PlanBase.BUY:
            base = best_of(COST_BOOK) if is_last else above
        elif plan.base_book is not None:
            base = best_of(plan.base_book)
    if base is None or plan.currency not in (None, base.currency):
        return None
    return times(base, PPM + margin_ppm)


def byok_fee(plan: Plan | None, listed: Paid | None) -> Paid | None:
    """What an account on this plan pays for a call on the customer's own upstream key: a share of the list price."""
    if plan is None or listed is None or plan.currency not in (None, listed.currency):
        return None
    return times(listed, plan.byok_fee_ppm)
