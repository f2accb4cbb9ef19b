"""How a rating is written: which price a call was charged by, at each level, in ids that anybody can look up.

A **price id** is the row id of a price, followed by the factors of the plans it went through: ``p1f…`` is that row's
own prices, ``p1f…*1055000`` the same with 5.5 % on top. Factors are parts per million; after each of them every unit
price is rounded half-even to a whole pico-unit (``unit_prices``). So a line's charge is checked by multiplication, with
the price rows alone. See ``pricing.md`` beside this file for how a row is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote, unquote

PICO = 10**12
"""Pico-units in one unit of a currency."""
PPM = 1_000_000
BYOK_COST = "byok"
"""The cost price id of a call on the customer's own upstream key: it costs us nothing."""

PRICE_ID_PATTERN = r"[a-z0-9]+(\*[0-9]{1,12})*"
PLAN_ID_PATTERN = r"[A-Za-z0-9._-]{1,64}"
_LEVEL = rf"[A-Za-z0-9._~%/-]+@({PRICE_ID_PATTERN})?"
RATING_PATTERN = rf"^({PRICE_ID_PATTERN})?\|({PRICE_ID_PATTERN})?\|({PLAN_ID_PATTERN})?\|({_LEVEL}(;{_LEVEL})*)?$"
"""What ``Rating.text`` gives; also a pattern for columns, so it has no look-around and no \\Z."""


@dataclass(frozen=True)
class Level:
    """One account above the customer and the price id it pays; None: unpriced at this level."""

    account_id: str
    price_id: str | None


@dataclass(frozen=True)
class Rating:
    """What a call is charged by: the customer's own price, the upstream's, and each level above, nearest first."""

    price_id: str | None
    cost_price_id: str | None
    plan_id: str | None
    levels: tuple[Level, ...] = ()

    @property
    def chain(self) -> str | None:
        """The levels as ``account@price;account@price``, accounts percent-quoted; None where there are none."""
        return ";".join(f"{quote(one.account_id)}@{one.price_id or ''}" for one in self.levels) or None

    @property
    def text(self) -> str:
        """What a CORRECTION carries: price, cost price, plan and chain, with nothing for what is null."""
        return "|".join(part or "" for part in (self.price_id, self.cost_price_id, self.plan_id, self.chain))


def levels_of(chain: str | None) -> tuple[Level, ...]:
    """The levels of ``Rating.chain``."""
    pairs = [part.rpartition("@") for part in chain.split(";")] if chain else []
    return tuple(Level(unquote(account), price or None) for account, _, price in pairs)


def rating_of(text: str) -> Rating:
    """The rating that ``Rating.text`` wrote; ValueError when the text is none."""
    if not re.fullmatch(RATING_PATTERN[1:-1], text):
        raise ValueError(f"{text[:200]!r} is not price|cost price|plan|chain")
    price, cost, plan, chain = text.split("|", 3)
    return Rating(price or None, cost or None, plan or None, levels_of(chain))


def price_id(row_id: str, factors_ppm: Sequence[int] = ()) -> str:
    """A row's id with the factors of the plans, in the order in which they apply; a factor of one is not written."""
    return row_id + "".join(f"*{factor}" for factor in factors_ppm if factor != PPM)


def parts_of(price: str) -> tuple[str, tuple[int, ...]]:
    """(row id, factors) of a price id."""
    row_id, *factors = price.split("*")
    return row_id, tuple(int(factor) for factor in factors)


def unit_prices(units: Mapping[str, int], factors_ppm: Sequence[int]) -> dict[str, int]:
    """Unit prices in pico-units after the factors: each multiplies, then rounds half-even."""
    made = dict(units)
    for factor in factors_ppm:
        made = {name: half_even(unit * factor, PPM) for name, unit in made.items()}
    return made


def pico(amount: Decimal) -> int:
    """An amount in whole pico-units; what is finer is rounded half-even."""
    numerator, denominator = amount.as_integer_ratio()
    return half_even(numerator * PICO, denominator)


def amount(pico_units: int) -> Decimal:
    """Whole pico-units as an amount, exact however large."""
    sign, digits, _ = Decimal(pico_units).as_tuple()
    return Decimal((sign, digits, -12))


def half_even(numerator: int, denominator: int) -> int:
    """The quotient as a whole number; what lies half way goes to the even one."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))
