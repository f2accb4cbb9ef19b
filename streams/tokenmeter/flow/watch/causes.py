"""One open alert per cause: what the measures of a subject, and the keys of a customer, find is told once.

| from | when                                                       | to   | told     |
|------|------------------------------------------------------------|------|----------|
| none | a measure opens, and no key of the subject has one open    | open | OPEN     |
| open | another measure opens                                      | open |          |
| open | the measure that told it is WORSE times as bad             | open | OPEN     |
| open | every measure is calm, or what it shows is the new normal  | none | RESOLVED |

A cause is a subject (or a whole group) and a direction. Keys come before their customer: the alert names the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Kind

FALLING = (Kind.DROP, Kind.SILENCE)
NUMBERS = 7


class What(IntEnum):
    """What is told of a cause."""

    OPENED = 1
    WORSE = 2
    CLOSED = 3
    NEW_NORMAL = 4


@dataclass
class Cause:
    """An open alert. ``row`` is −1 − the group's number for a whole group."""

    row: int
    falls: bool
    opened: int
    """Bucket in which it was told."""
    since: int
    measure: int
    """Which told it."""
    worse: int = 0
    """How often it was told again."""
    open_in: int = 0
    """The measures that see it, a bit each."""

    def numbers(self) -> tuple[int, ...]:
        """As integers, for the state."""
        return self.row, int(self.falls), self.opened, self.since, self.measure, self.worse, self.open_in


@dataclass(frozen=True)
class Change:
    """A change of ``cause`` that is to be told, and the record of the measure that made it."""

    what: What
    cause: Cause
    measure: int
    found: np.void


class Causes:
    """The open alerts of a partition; ``parent`` gives the row of a key's customer."""

    def __init__(self, parent: Callable[[int], int | None]) -> None:
        self._parent = parent
        self.open: dict[tuple[int, bool], Cause] = {}

    def advance(self, bucket: int, found: Sequence[NDArray[np.void]]) -> list[Change]:
        """What to tell of one bucket; ``found`` are the ALERT records of each measure."""
        told: list[Change] = []
        events = [(measure, one) for measure, records in enumerate(found) for one in records]
        # Those that end first: a cause may end and begin again. Then whole groups, keys, customers.
        for measure, one in sorted(events, key=lambda event: (event[1]["told"] not in _ENDS, self._rank(event[1]))):
            change = self._take(bucket, measure, one)
            if change is not None:
                told.append(change)
        return told

    def rows(self) -> set[int]:
        """The rows that have an open alert."""
        return {row for row, _ in self.open}

    def numbers(self) -> tuple[int, ...]:
        """All of it, NUMBERS for each cause."""
        return tuple(number for cause in self.open.values() for number in cause.numbers())

    def restore(self, numbers: Sequence[int]) -> None:
        """Put back what ``numbers`` gave."""
        self.open = {}
        for at in range(0, len(numbers), NUMBERS):
            row, falls, *rest = numbers[at : at + NUMBERS]
            self.open[row, bool(falls)] = Cause(row, bool(falls), *rest)

    def _rank(self, one: np.void) -> int:
        row = int(one["row"])
        return 0 if row < 0 else 1 if self._parent(row) is not None else 2

    def _take(self, bucket: int, measure: int, one: np.void) -> Change | None:
        row = int(one["row"]) if one["row"] >= 0 else -1 - int(one["group"])
        falls = int(one["kind"]) in FALLING
        cause = self.open.get((row, falls))
        match Told(int(one["told"])):
            case Told.OPENED | Told.WORSE if cause is None:
                if row >= 0 and self._key_is_open(row, falls):
                    return None
                cause = Cause(row, falls, bucket, int(one["since"]), measure, open_in=1 << measure)
                self.open[row, falls] = cause
                return Change(What.OPENED, cause, measure, one)
            case Told.OPENED if cause is not None:
                cause.open_in |= 1 << measure
            case Told.WORSE if cause is not None and cause.measure == measure:
                cause.worse += 1
                return Change(What.WORSE, cause, measure, one)
            case Told.CLOSED | Told.NEW_NORMAL as end if cause is not None:
                cause.open_in &= ~(1 << measure)
                if not cause.open_in:
                    del self.open[row, falls]
                    return Change(What[end.name], cause, measure, one)
        return None

    def _key_is_open(self, row: int, falls: bool) -> bool:
        return any(
            cause_row >= 0 and cause_falls == falls and self._parent(cause_row) == row
            for cause_row, cause_falls in self.open
        )


_ENDS: Iterable[int] = (Told.CLOSED, Told.NEW_NORMAL)
