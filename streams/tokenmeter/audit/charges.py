"""What a call costs and who owes what for it: ``tokenmeter/events/pricing.md`` word for word, one call at a time. Pure.

The oracle of every charge. It shares nothing with the meter's rating but the contract: whole pico-units and fractions,
no columns; unit prices of a price id are remembered, since they never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tokenmeter.audit.inforce import Call, CatalogRows
from tokenmeter.events.catalog import Plan, PriceTerms
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK, UNIT_PRICE_MAX, CatalogRow, PlanBase
from tokenmeter.events.contract import COUNT_FIELDS, PART_OF, QUANTITY_FIELDS, TOKEN_FIELDS
from tokenmeter.events.rating import BYOK_COST, PPM, Level, Rating, parts_of, pico, price_id, rating_of

EVERY_ROW = 2**63 - 1
"""A catalog offset that no row reaches."""
UNIT_PICO_MAX = pico(UNIT_PRICE_MAX)
COUNTED: tuple[str, ...] = ("events", "errors", *QUANTITY_FIELDS)
"""What a charge is a sum of. Calls that did not fail are requests; tool calls have no price."""


@dataclass(frozen=True)
class _Price:
    """What an account pays before its fee: a row, and the factors it went through."""

    row: PriceTerms
    factors: tuple[int, ...] = ()

    def times(self, factor_ppm: int) -> _Price:
        return _Price(self.row, (*self.factors, factor_ppm))


@dataclass(frozen=True)
class _Made:
    """What came of a price: its id, and pico-units each."""

    price_id: str
    units: dict[str, int]


class Charges:
    """Ratings and charges by all rows of the catalog, each with its offset; ``x`` is a page's ``catalog_offset``."""

    def __init__(self, rows: Iterable[tuple[int, CatalogRow]]) -> None:
        self._rows = CatalogRows(rows)
        self._known_prices: dict[tuple[str, tuple[int, ...]], _Made | None] = {}

    def rating_of_event(self, event: Mapping[str, Any], x: int = EVERY_ROW) -> Rating:
        """What an event is charged by at each level, the fields as a decoded usage event has them."""
        if event.get("rating") is not None:
            return self._carried(rating_of(event["rating"]), x)
        call = Call.of(event)
        chain = self._rows.chain(call.customer_id, call.at, x)
        ids: list[str | None] = []
        above: _Price | None = None
        for account in reversed(chain):  # who is above is known first
            plan = self._rows.plan(account.plan_id, call.at, x)
            price = None if plan is None else self._price(plan, call, above, not ids, x)
            paid = self._byok_fee(plan, call, x) if call.byok else price
            ids.append(None if paid is None else self._id(paid))
            above = price
        levels = [Level(account.account_id, paid) for account, paid in zip(chain, reversed(ids), strict=True)]
        cost = self._rows.best_price(COST_BOOK, call, x)
        cost_id = None if cost is None else cost.row_id
        return Rating(levels[0].price_id, BYOK_COST if call.byok else cost_id, chain[0].plan_id, tuple(levels[1:]))

    def _byok_fee(self, plan: Plan | None, call: Call, x: int) -> _Price | None:
        """What an account pays for a call on the customer's own upstream key: its plan's share of the list price."""
        row = self._rows.best_price(LIST_BOOK, call, x)
        if plan is None or row is None:
            return None
        return self._in_currency(plan, _Price(row).times(plan.byok_fee_ppm))

    def _price(self, plan: Plan, call: Call, above: _Price | None, is_top: bool, x: int) -> _Price | None:
        """What an account pays by its plan; ``above`` is what its parent pays, of which the top account has none."""
        fixed = self._rows.best_price(plan.override_book, call, x) if plan.override_book is not None else None
        if fixed is not None:
            return self._in_currency(plan, _Price(fixed))
        if plan.base == PlanBase.BUY and not is_top:
            base = above
        else:
            book = plan.base_book if plan.base == PlanBase.BOOK else COST_BOOK
            row = self._rows.best_price(book, call, x)
            base = None if row is None else _Price(row)
        return None if base is None else self._in_currency(plan, base.times(PPM + plan.margin_ppm))

    def _carried(self, rating: Rating, x: int) -> Rating:
        """The rating of a CORRECTION: an id that nobody knows is null."""
        cost = rating.cost_price_id
        return Rating(
            self._known(rating.price_id, x),
            cost if cost == BYOK_COST else self._known(cost, x),
            rating.plan_id,
            tuple(Level(level.account_id, self._known(level.price_id, x)) for level in rating.levels),
        )

    def _known(self, paid: str | None, x: int) -> str | None:
        return None if self.units(paid, x) is None or paid == BYOK_COST else paid

    def units(self, paid: str | None, x: int = EVERY_ROW) -> dict[str, int] | None:
        """Unit prices of a price id in pico-units; None where it is null, unknown or too large."""
        if paid is None:
            return None
        row_id, factors = parts_of(paid)
        row = self._rows.price_row(row_id, x)
        made = None if row is None else self._made(row, factors)
        return None if made is None else made.units

    def coefficients(self, paid: str | None, x: int = EVERY_ROW) -> dict[str, int] | None:
        """What one of each of COUNTED adds to a charge, in pico-units; None where unpriced."""
        if paid == BYOK_COST:
            return dict.fromkeys(COUNTED, 0)
        unit = self.units(paid, x)
        if unit is None:
            return None
        tokens = {name: unit[name] - (unit[PART_OF[name]] if name in PART_OF else 0) for name in TOKEN_FIELDS}
        counts = {name: unit.get(name, 0) for name in COUNT_FIELDS}
        return {"events": unit["requests"], "errors": -unit["requests"], **tokens, **counts}

    def charge(self, paid: str | None, counts: Mapping[str, int], x: int = EVERY_ROW) -> int | None:
        """Pico-units for what ``counts`` adds up: quantities, ``events`` and ``errors``; None where unpriced."""
        each = self.coefficients(paid, x)
        return None if each is None else sum(counts[name] * pico_each for name, pico_each in each.items())

    def currency(self, paid: str | None, x: int = EVERY_ROW) -> str | None:
        """Of the price row; None where unpriced and for what costs nothing."""
        row = self._row(paid, x)
        return None if row is None else row.currency

    def provisional(self, paid: str | None, x: int = EVERY_ROW) -> bool:
        """Whether the price row only stands in until the real price is known."""
        row = self._row(paid, x)
        return row is not None and row.provisional

    def _row(self, paid: str | None, x: int) -> PriceTerms | None:
        return None if paid is None else self._rows.price_row(parts_of(paid)[0], x)

    def _in_currency(self, plan: Plan, price: _Price) -> _Price | None:
        """The price, if the plan takes its currency and nothing is dearer than a unit may be."""
        return price if plan.currency in (None, price.row.currency) and self._id(price) is not None else None

    def _id(self, price: _Price) -> str | None:
        """None for a price that is beyond what a unit may cost."""
        made = self._made(price.row, price.factors)
        return None if made is None else made.price_id

    def _made(self, row: PriceTerms, factors: tuple[int, ...]) -> _Made | None:
        terms = row.row_id, factors
        if terms not in self._known_prices:
            units = _units(row, factors)
            self._known_prices[terms] = None if units is None else _Made(price_id(*terms), units)
        return self._known_prices[terms]


def _units(row: PriceTerms, factors: tuple[int, ...]) -> dict[str, int] | None:
    made = row.units_pico()
    for factor in factors:
        made = {name: round(Fraction(unit * factor, PPM)) for name, unit in made.items()}  # half to even
        if max(made.values()) > UNIT_PICO_MAX:
            return None
    return made
