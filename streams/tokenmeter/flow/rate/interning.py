"""Numbers for values, so that columns can hold them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)
NONE = -1
"""The number of nothing, where a value refers to another: an account without one above it."""


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


def linked(nodes: Interner[tuple[Value, int]], node: int) -> list[Value]:
    """The values of a linked list, whose nodes are (value, number of the next node or NONE)."""
    found = []
    while node != NONE:
        value, node = nodes.values[node]
        found.append(value)
    return found
