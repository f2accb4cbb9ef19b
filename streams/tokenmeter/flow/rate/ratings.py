"""The ratings that a rater gave numbers to, and what each of them stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events.contract import PRICED_FIELDS
from tokenmeter.events.rating import BYOK_COST, Level, Rating, parts_of
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.charging import UNPRICED, UnitPrices
from tokenmeter.flow.rate.interning import Interner
from tokenmeter.flow.rate.rated import RATING, TERMS

Who: TypeAlias = tuple[str | None, tuple[str, ...]]
"""A plan, and the accounts above the customer, nearest first."""
Prices: TypeAlias = tuple[str | None, str | None, tuple[str | None, ...]]
"""Price id, cost price id, the price id of each level above."""
_COLUMNS = ("price_line", "cost_line", "currency", "cost_currency")


class Ratings:
    """Numbers for ratings: equal numbers, equal ids, and the other way round.

    Numbers are given by one thread at a time, and then shown by ``publish``; anybody may read what is shown.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self.units = UnitPrices(self._units_of)
        self.whos: Interner[Who] = Interner()
        self.prices: Interner[Prices] = Interner()
        self._numbers: Interner[tuple[int, int]] = Interner()
        self._currencies: Interner[str | None] = Interner(None)
        self._columns: dict[str, npt.NDArray[np.int32]] = {name: np.zeros(0, np.int32) for name in _COLUMNS}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, who: int, prices: int) -> int:
        """The number of the rating of these ``whos`` and ``prices``."""
        return self._numbers.number((who, prices))

    def carried(self, rating: Rating) -> int:
        """The number of a rating that a correction carries: an id that prices nothing here is null in it."""
        who = self.whos.number((rating.plan_id, tuple(level.account_id for level in rating.levels)))
        levels = tuple(self.known(level.price_id) for level in rating.levels)
        cost = rating.cost_price_id if rating.cost_price_id == BYOK_COST else self.known(rating.cost_price_id)
        return self.number(who, self.prices.number((self.known(rating.price_id), cost, levels)))

    def rating(self, number: int) -> Rating:
        """What a number stands for."""
        who, prices = self._numbers.values[number]
        plan_id, accounts = self.whos.values[who]
        price_id, cost_price_id, levels = self.prices.values[prices]
        return Rating(price_id, cost_price_id, plan_id, tuple(map(Level, accounts, levels)))

    def publish(self) -> None:
        """Let columns be read for the numbers given so far."""
        shown = len(self._columns["currency"])
        added = [self._row(prices) for _, prices in self._numbers.values[shown:]]
        columns = np.array(added, np.int32).reshape(-1, len(_COLUMNS)).T
        self._columns = {
            name: np.concatenate([self._columns[name], column]) for name, column in zip(_COLUMNS, columns, strict=True)
        }

    def _row(self, prices: int) -> tuple[int, int, int, int]:
        price_id, cost_price_id, _ = self.prices.values[prices]
        currency = self._currencies.number(self.currency(price_id))
        cost_currency = self._currencies.number(self.currency(cost_price_id))
        return self.units.line(price_id), self.units.line(cost_price_id), currency, cost_currency

    def column(self, name: str, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """``price_line`` or ``cost_line`` of each number, to charge by ``units``."""
        return self._columns[name].take(numbers)

    def currencies(self, name: str, numbers: npt.NDArray[np.int32]) -> pl.Series:
        """``currency`` or ``cost_currency`` of each number."""
        names = pl.Series(name, self._currencies.values, pl.String)
        return names.gather(pl.Series(self.column(name, numbers)))

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """RATING and TERMS of these numbers."""
        rows = []
        for number in numbers:
            rating = self.rating(number)
            row = {
                RATING: number,
                "price_id": rating.price_id,
                "cost_price_id": rating.cost_price_id,
                "plan_id": rating.plan_id,
                "chain": rating.chain,
                "currency": self.currency(rating.price_id),
                "cost_currency": self.currency(rating.cost_price_id),
                "provisional": self.provisional(rating.price_id),
            }
            rows.append(row)
        return pl.DataFrame(rows, schema={RATING: pl.Int32(), **TERMS})

    def currency(self, price_id: str | None) -> str | None:
        """The currency of a price id's row."""
        row = None if price_id is None else self._book.price(parts_of(price_id)[0])
        return None if row is None else row.currency

    def provisional(self, price_id: str | None) -> bool:
        """Whether the row of a price id stands in for the real one."""
        row = None if price_id is None else self._book.price(parts_of(price_id)[0])
        return row is not None and row.provisional

    def known(self, price_id: str | None) -> str | None:
        """The id if an account can be charged by it, else None. For one thread at a time."""
        # Nobody is charged by "byok": it is what a call costs, and no price row.
        return None if price_id == BYOK_COST or self.units.line(price_id) == UNPRICED else price_id

    def _units_of(self, price_id: str) -> dict[str, int] | None:
        return dict.fromkeys(PRICED_FIELDS, 0) if price_id == BYOK_COST else self._book.units(price_id)
