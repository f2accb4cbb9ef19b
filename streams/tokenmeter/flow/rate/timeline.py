"""Catalog rows by natural key, and which of them is in force at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from tokenmeter.flow.rate.int_table import Ints

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
MINUTE_US = 60_000_000
MINUTES_PER_WEEK = 7 * 1_440
WEEK_US = MINUTES_PER_WEEK * MINUTE_US
_EPOCH_MINUTE_OF_WEEK = 3 * 1_440
"""1970 began on a Thursday; weeks begin on Monday."""


def epoch_us(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def minute_of_week(at_us: int) -> int:
    """UTC minutes since Monday 00:00."""
    return (at_us // MINUTE_US + _EPOCH_MINUTE_OF_WEEK) % MINUTES_PER_WEEK


def minutes_of_week(at_us: Ints) -> Ints:
    """``minute_of_week`` of each time."""
    return (at_us // MINUTE_US + _EPOCH_MINUTE_OF_WEEK) % MINUTES_PER_WEEK


class Timeline(Generic[Key, Row]):
    """Rows of one kind. Never changed once made, so threads may share it; ``extended`` makes another."""

    def __init__(self, rows: Mapping[Key, tuple[tuple[int, int, Row], ...]] | None = None) -> None:
        self._rows = dict(rows or {})

    def extended(self, added: Iterable[tuple[Key, int, int, Row]]) -> Timeline[Key, Row]:
        """With further (key, effective_from in µs, offset, row)."""
        by_key: dict[Key, list[tuple[int, int, Row]]] = defaultdict(list)
        for key, since_us, offset, row in added:
            by_key[key].append((since_us, offset, row))
        if not by_key:
            return self
        made = Timeline(self._rows)
        for key, rows in by_key.items():
            made._rows[key] = tuple(sorted((*self._rows.get(key, ()), *rows), key=lambda row: row[:2]))
        return made

    def in_force(self, key: Key, at_us: int) -> Row | None:
        """The row of this key with the latest effective_from not after the time; of equals the later in the log."""
        rows = self._rows.get(key)
        if rows is None:
            return None
        after = bisect_right(rows, at_us, key=lambda row: row[0])
        return rows[after - 1][2] if after else None

    def newest(self, key: Key) -> Row | None:
        """The row of this key that takes effect last, be it in the future."""
        rows = self._rows.get(key)
        return rows[-1][2] if rows else None

    def times_us(self) -> set[int]:
        """Every time at which a row takes effect."""
        return {row[0] for rows in self._rows.values() for row in rows}

    def rows(self) -> Iterator[Row]:
        """Every row, whenever it is in force."""
        return (row for rows in self._rows.values() for _, _, row in rows)

    def keys(self) -> Iterable[Key]:
        """Every natural key that has a row."""
        return self._rows.keys()
