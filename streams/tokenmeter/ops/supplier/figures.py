"""What is compared: amounts and tokens of one day, model and currency, added up without ever rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import NamedTuple

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
"""Decimal's own context rounds a sum to 28 digits; this one raises instead, and never has to for real amounts."""


class Key(NamedTuple):
    """What figures are added up by. ``currency`` None: of the amount nothing is known; ``provider`` None: of all."""

    day: date
    model: str
    currency: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class Figures:
    """Sums of one side. ``cost`` None: no amount is known; ``uncosted_calls``: calls that have no cost price."""

    cost: Decimal | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    uncosted_calls: int = 0

    def __add__(self, other: Figures) -> Figures:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Figures(
            exact_sum(costs) if costs else None,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.calls + other.calls,
            self.uncosted_calls + other.uncosted_calls,
        )


Sums = Mapping[Key, Figures]


def exact_sum(amounts: list[Decimal]) -> Decimal:
    """The sum to the last digit."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


@dataclass(frozen=True)
class Tolerance:
    """How far two figures may be apart and still match: a share of theirs, or an amount. The limit itself matches."""

    share: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    def allows(self, theirs: Decimal, ours: Decimal) -> bool:
        """Whether the two are near enough."""
        apart = EXACT.abs(EXACT.subtract(ours, theirs))
        return apart <= max(self.amount, EXACT.multiply(self.share, EXACT.abs(theirs)))


def tolerance_of(text: str) -> Tolerance:
    """``0.5%`` or an amount as in ``0.01``; ValueError when it is neither."""
    number = text.strip()
    value = decimal_of(number.removesuffix("%"))
    if value < 0:
        raise ValueError(f"{text!r} is below 0")
    return Tolerance(share=value.scaleb(-2, EXACT)) if number.endswith("%") else Tolerance(amount=value)


def decimal_of(text: str) -> Decimal:
    """A finite number; ValueError when the text is none."""
    try:
        value = Decimal(text.strip())
    except ArithmeticError:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value
