"""Multiplies what calls used by unit prices, in 128-bit columns: "The charge" of ``pricing.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from tokenmeter.events.contract import PART_OF, PRICED_FIELDS
from tokenmeter.events.rating import PPM, half_even
from tokenmeter.flow.rate.int_table import Numbers
from tokenmeter.flow.rate.levels import UNIT_PRICE_MAX_PICO

UNPRICED = 0
"""The line of the table that charges null."""
_FIRST_CAPACITY = 1_024
MEMO_MAX = 50_000
"""Unit prices remembered beside the table, to make others of."""


def coefficients(units: dict[str, int]) -> list[int]:
    """What each of PRICED_FIELDS is multiplied by: a part counts in its whole too, so it has the difference alone."""
    return [units[name] - (units[PART_OF[name]] if name in PART_OF else 0) for name in PRICED_FIELDS]


class UnitPrices:
    """A table of coefficients with a line for each price id; it grows, and lines once given stay.

    Lines are given by one thread at a time; anybody may charge by those that were.
    """

    def __init__(self, units_of: Callable[[str], dict[str, int] | None]) -> None:
        """``units_of`` tells the unit prices of a row id; None: there is no such row."""
        self._units_of = units_of
        self._lines: dict[str | None, int] = {None: UNPRICED}
        self._table = np.zeros((len(PRICED_FIELDS), _FIRST_CAPACITY), np.int64)
        self._memo: dict[str, dict[str, int] | None] = {}
        self.ids: list[str | None] = [None]
        """The price id of each line."""

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, price_id: str | None) -> int:
        """The line of a price id, UNPRICED if it prices nothing."""
        line = self._lines.get(price_id)
        if line is None:
            units = None if price_id is None else self._units(price_id)
            line = self._lines[price_id] = UNPRICED if units is None else self._added(price_id, units)
        return line

    def _units(self, price_id: str) -> dict[str, int] | None:
        """Unit prices after the last factor, from those before it: a chain's ids are each other's beginnings."""
        if price_id not in self._memo:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            before, _, factor = price_id.rpartition("*")
            units = self._units(before) if before else self._units_of(price_id)
            if units is not None and before:
                made = {unit: half_even(unit * int(factor), PPM) for unit in {*units.values()}}
                is_payable = max(made.values()) <= UNIT_PRICE_MAX_PICO
                units = {name: made[unit] for name, unit in units.items()} if is_payable else None
            self._memo[price_id] = units
        return self._memo[price_id]

    def _added(self, price_id: str | None, units: dict[str, int]) -> int:
        line = len(self.ids)
        if line == self._table.shape[1]:
            self._table = np.concatenate([self._table, np.zeros_like(self._table)], axis=1)
        self._table[:, line] = coefficients(units)
        self.ids.append(price_id)
        return line

    def charge(self, used: pl.DataFrame, lines: Numbers) -> pl.Series:
        """Pico-units for each row of ``used`` (those of PRICED_FIELDS that are not all zero) by its line."""
        table = self._table
        total = pl.repeat(0, len(lines), dtype=pl.Int128, eager=True)
        for name in used.columns:
            prices = table[PRICED_FIELDS.index(name)]
            if prices.any():
                total = total + used[name].cast(pl.Int128) * pl.Series(prices.take(lines)).cast(pl.Int128)
        if not (unpriced := lines == UNPRICED).any():
            return total
        return pl.select(pl.when(~pl.Series(unpriced)).then(total)).to_series()


def used(frame: pl.DataFrame, requests: pl.Expr) -> pl.DataFrame:
    """The columns of PRICED_FIELDS that hold anything but zeros; ``requests`` says how many calls did not fail."""
    counted = frame.select_seq(requests.cast(pl.Int64).alias("requests")).to_series()
    columns = (counted if name == "requests" else frame.get_column(name) for name in PRICED_FIELDS)
    return pl.DataFrame([column for column in columns if _counts(column)])


def present(frame: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns that hold anything but zeros: most calls have no images, audio or searches."""
    return [name for name in names if _counts(frame.get_column(name))]


def _counts(column: pl.Series) -> bool:
    # Asked of each column by itself: an expression for each costs more than the answer, however few the rows.
    return bool(column.min() or column.max())
