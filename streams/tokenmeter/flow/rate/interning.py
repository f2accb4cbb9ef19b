"""Numbers for values, so that columns can hold them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import polars as pl

Value = TypeVar("Value", bound=Hashable)
NUMBER = "_number"


class Interner(Generic[Value]):
    """Gives each distinct value a number, from 0 in the order of arrival; for one thread at a time."""

    def __init__(self, *first: Value) -> None:
        self.values: list[Value] = []
        self._numbers: dict[Value, int] = {}
        for value in first:
            self.number(value)

    def __len__(self) -> int:
        return len(self.values)

    def number(self, value: Value) -> int:
        """The value's number; equal values have the same."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Lookup:
    """Numbers of rows of keys: each distinct row is resolved once, then found by a join.

    ``resolve`` gets the rows nobody asked for before. Readers may be many; who resolves holds the rater's lock.
    """

    def __init__(self, schema: dict[str, pl.DataType], resolve: Callable[[pl.DataFrame], Sequence[int]]) -> None:
        self._keys = list(schema)
        self._table = pl.DataFrame(schema={**schema, NUMBER: pl.Int32()})
        self._resolve = resolve

    def __len__(self) -> int:
        return self._table.height

    def find(self, keys: pl.DataFrame) -> pl.Series:
        """The number of each row, null where it was not resolved yet."""
        return keys.join(self._table, on=self._keys, how="left", nulls_equal=True, maintain_order="left")[NUMBER]

    def learn(self, keys: pl.DataFrame) -> None:
        """Resolve what of these rows is not known."""
        unseen = keys.unique(maintain_order=True).join(self._table, on=self._keys, how="anti", nulls_equal=True)
        numbers = pl.Series(NUMBER, self._resolve(unseen), pl.Int32)
        self._table = pl.concat([self._table, unseen.with_columns(numbers)])
