"""What to look at in the books: prices that no call ever gets, prices that tie, models sold below their cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tokenmeter.events.catalog import Plan, Price, PriceTerms
from tokenmeter.events.catalog_row import ANY_MODEL, COST_BOOK, LIST_BOOK, PlanBase
from tokenmeter.events.contract import PRICED_FIELDS
from tokenmeter.events.rating import PPM, amount, unit_prices
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.matching import Call, rank, week_minutes
from tokenmeter.flow.rate.timeline import MINUTES_PER_WEEK, epoch_us
from tokenmeter.stack.prices.account_terms import base_shown
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import named
from tokenmeter.stack.prices.overlaps import ties
from tokenmeter.stack.prices.windows import minutes_of

UNREACHABLE, TIE, BELOW_COST, NO_AUTHOR = "unreachable", "tie", "below cost", "no author"
STANDARD = "standard"


@dataclass(frozen=True)
class Finding:
    """One thing to look at."""

    kind: str
    price: PriceTerms
    detail: str


def check(catalog: Catalog, at: datetime) -> list[Finding]:
    """All findings about the prices in force at a time."""
    prices: list[PriceTerms] = [row for row in catalog.in_force(Price, at) if not row.withdrawn]
    plans = list(catalog.in_force(Plan, at))
    found = [*_shadowed(prices), *_unused(prices, plans), *_authorless(prices)]
    for one, other, since in ties(catalog):
        if since <= at:
            found.append(Finding(TIE, one, f"would price the same calls as {named(other)}"))
    return [*found, *_below_cost(catalog.book(), prices, plans, at)]


def _shadowed(prices: list[PriceTerms]) -> Iterator[Finding]:
    """A price whose every minute has a better one for the same calls."""
    same_calls: dict[tuple[object, ...], list[PriceTerms]] = defaultdict(list)
    for price in prices:
        key = (price.book, price.model, price.provider, price.variant, price.service_tier, price.min_input_tokens)
        same_calls[key].append(price)
    for group in same_calls.values():
        covered = 0
        for price in sorted(group, key=rank, reverse=True):
            if not minutes_of(price) & ~covered:
                yield Finding(UNREACHABLE, price, "at each of its times a more specific price of the same calls holds")
            covered |= minutes_of(price)


def _unused(prices: list[PriceTerms], plans: list[Plan]) -> Iterator[Finding]:
    used = {LIST_BOOK, COST_BOOK, *(p.base_book for p in plans), *(p.override_book for p in plans)}
    told: set[str] = set()
    for price in prices:
        if price.book not in used and price.book not in told:
            told.add(price.book)
            count = sum(one.book == price.book for one in prices)
            yield Finding(UNREACHABLE, price, f"no plan uses book {price.book} ({count} prices)")


def _authorless(prices: list[PriceTerms]) -> Iterator[Finding]:
    for price in prices:
        if "/" not in price.model and price.model != ANY_MODEL:
            yield Finding(NO_AUTHOR, price, "events name models author/slug: no call has this model")


def _below_cost(book: Book, prices: list[PriceTerms], plans: list[Plan], at: datetime) -> Iterator[Finding]:
    """Costs that the list price, or a plan's, is below in some class: for the calls that each cost price is for."""
    sold = {"list price": (LIST_BOOK, 0)}
    for plan in plans:
        if (
            plan.base == PlanBase.BOOK
            and plan.base_book is not None
            and (plan.base_book, plan.margin_ppm) != ("list", 0)
        ):
            sold[f"plan {plan.plan_id} ({base_shown(plan)})"] = (plan.base_book, plan.margin_ppm)
        elif plan.margin_ppm < 0:
            sold[f"plan {plan.plan_id} ({base_shown(plan)}), without a parent,"] = (COST_BOOK, plan.margin_ppm)
    starts = _starts(prices)
    at_us = epoch_us(at)
    for cost in prices:
        if cost.book != COST_BOOK or "*" in cost.model:
            continue
        call = Call(
            customer_id="",
            model=cost.model,
            provider=cost.provider or "",
            variant=cost.variant or STANDARD,
            service_tier=cost.service_tier,
            input_tokens=cost.min_input_tokens,
        )
        # Where another cost price is the better one, that one is looked at.
        minutes = [one for one in starts[cost.model] if book.best_at(COST_BOOK, call, at_us, one) is cost]
        for who, (name, margin_ppm) in sold.items():
            asked = (book.best_at(name, call, at_us, minute) for minute in minutes)
            below = (_below(price, margin_ppm, cost) for price in asked if price and price.currency == cost.currency)
            if found := next(filter(None, below), None):
                yield Finding(BELOW_COST, cost, f"the {who} is below: {found}")


def _starts(prices: list[PriceTerms]) -> dict[str, list[int]]:
    """By model, the minutes of the week at which one of its prices begins to hold: between them nothing changes."""
    found: dict[str, set[int]] = defaultdict(lambda: {0})
    for price in prices:
        found[price.model] |= {minute for span in week_minutes(price) for minute in span if minute < MINUTES_PER_WEEK}
    wide = {minute for model, minutes in found.items() if "*" in model for minute in minutes}
    return {model: sorted(minutes | wide) for model, minutes in found.items()}


def _below(price: PriceTerms, margin_ppm: int, cost: PriceTerms) -> str:
    asked, paid = unit_prices(price.units_pico(), [PPM + margin_ppm]), cost.units_pico()
    below = [name for name in PRICED_FIELDS if asked[name] < paid[name]]
    shown = [f"{name} {amount(asked[name]):f} < {amount(paid[name]):f}" for name in below[:2]]
    return "; ".join(shown) + (f" and {len(below) - 2} more" if len(below) > 2 else "")
