"""What re-rating changes: calls, tokens, charge and cost by customer and model, currencies apart. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from tokenmeter.events.rating import amount
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, Rater
from tokenmeter.ops.reconcile.pages import RATED_BY
from tokenmeter.ops.rerate.moves import OUTCOME
from tokenmeter.ops.supplier.figures import exact_sum

BY = ("customer_id", "model")
COLUMNS = (
    *BY,
    "calls",
    "input_tokens",
    "output_tokens",
    "currency",
    "old_charge",
    "new_charge",
    "charge_difference",
    "unpriced_calls_before",
    "unpriced_calls_after",
    "cost_currency",
    "old_cost",
    "new_cost",
    "cost_difference",
)


@dataclass(frozen=True)
class Side:
    """Usage of one customer, model, currency and cost currency; amounts in pico-units."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charge: int = 0
    cost: int = 0
    unpriced: int = 0

    def __add__(self, other: Side) -> Side:
        return Side(*(one + two for one, two in zip(self._all, other._all, strict=True)))

    @property
    def _all(self) -> tuple[int, ...]:
        return (self.calls, self.input_tokens, self.output_tokens, self.charge, self.cost, self.unpriced)


Sides = dict[tuple[str, str, str | None, str | None], Side]
"""By customer, model, currency and cost currency."""


def priced(usage: pl.DataFrame, rater: Rater) -> Sides:
    """What grouped usage is charged at the ratings it lies at."""
    found: Sides = {}
    if not usage.height:
        return found
    # A rating is carried by corrections, so usage that is already summed is rated as one.
    carried = usage.with_columns(
        pl.col(RATED_BY).alias("rating"),
        pl.lit("usage").alias("corrects"),
        pl.col("events").alias("calls"),
        pl.col(OUTCOME).alias("status"),
        pl.lit(None, pl.String).alias("error_class"),
        pl.col("occurred_hour").alias("occurred_at"),
    )
    rated = rater.rate(carried)
    names = (*BY, "currency", "cost_currency", "events", "input_tokens", "output_tokens", CHARGE_PICO, COST_PICO)
    for *key, calls, tokens_in, tokens_out, charge, cost in rated.select(names).iter_rows():
        side = Side(calls, tokens_in, tokens_out, charge or 0, cost or 0, calls if charge is None else 0)
        where = (key[0], key[1], key[2], key[3])
        found[where] = found.get(where, Side()) + side
    return found


def add(total: Sides, part: Sides) -> None:
    """Add ``part`` to ``total``, in place."""
    for key, side in part.items():
        total[key] = total.get(key, Side()) + side


def rows(old: Sides, new: Sides) -> list[dict[str, Any]]:
    """COLUMNS for each customer, model and currency; calls and tokens are of all currencies, on the first row alone.

    A charge may move from no price, or from one currency, to another: each currency then has its own row.
    """
    made = []
    for customer, model in sorted({key[:2] for key in (*old, *new)}):
        total = _all(old, customer, model)
        currencies = sorted({k[2] for k in (*old, *new) if k[:2] == (customer, model) and k[2] is not None})
        costs = sorted({k[3] for k in (*old, *new) if k[:2] == (customer, model) and k[3] is not None})
        for number in range(max(1, len(currencies), len(costs))):
            currency = currencies[number] if number < len(currencies) else None
            cost_currency = costs[number] if number < len(costs) else None
            row: dict[str, Any] = dict.fromkeys(COLUMNS)
            row |= {"customer_id": customer, "model": model}
            if number == 0:
                row |= {
                    "calls": total.calls,
                    "input_tokens": total.input_tokens,
                    "output_tokens": total.output_tokens,
                    "unpriced_calls_before": total.unpriced,
                    "unpriced_calls_after": _all(new, customer, model).unpriced,
                }
            row |= _amounts("charge", 2, currency, (old, new), (customer, model))
            row |= _amounts("cost", 3, cost_currency, (old, new), (customer, model))
            made.append(row)
    return made


def _all(sides: Sides, customer: str, model: str) -> Side:
    return sum((side for key, side in sides.items() if key[:2] == (customer, model)), Side())


def _amounts(
    name: str, at: int, currency: str | None, sides: tuple[Sides, Sides], who: tuple[str, str]
) -> dict[str, Any]:
    if currency is None:
        return {}
    picos = [
        sum(getattr(side, name) for key, side in one.items() if key[:2] == who and key[at] == currency) for one in sides
    ]
    return {
        "currency" if name == "charge" else "cost_currency": currency,
        f"old_{name}": amount(picos[0]),
        f"new_{name}": amount(picos[1]),
        f"{name}_difference": amount(picos[1] - picos[0]),
    }


def totals(of: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, Decimal]]:
    """(charge or cost, currency, difference) over all rows, each currency for itself."""
    for name, column in (("charge", "currency"), ("cost", "cost_currency")):
        for currency in sorted({row[column] for row in of if row[column] is not None}):
            differences = [row[f"{name}_difference"] for row in of if row[column] == currency]
            yield name, currency, exact_sum(differences)


def write_csv(path: Path, of: Sequence[dict[str, Any]]) -> None:
    """All rows, amounts to the last digit."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(texts(row) for row in of)


def texts(row: dict[str, Any]) -> dict[str, Any]:
    """Amounts as texts, so that no reader rounds them."""
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in row.items()}
