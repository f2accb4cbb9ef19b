"""What the lines of a topic say to the watch: whom they are of, what they count, and which measures are watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from tokenmeter.flow.watch.exact import Doubles, Longs, Mask
from tokenmeter.flow.watch.settings import Measure
from tokenmeter.flow.watch.subjects import Subject

LATE_HOURS = 2
"""A line of an hour that began so long before it was written is of old events: a backfill."""
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Lines:
    """Lines of a batch that can be watched (n each)."""

    place: Longs
    """In the batch."""
    who: Longs
    """In ``subjects``, which are in the order of their first lines."""
    subjects: list[tuple[Subject, ...]]
    """Whom a line counts for."""
    late: Mask
    columns: dict[str, Doubles]
    """``calls`` among them."""

    def only(self, rows: Mask) -> Lines:
        """Those of ``rows``."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Lines(self.place[rows], self.who[rows], self.subjects, self.late[rows], columns)


@dataclass(frozen=True)
class Watched:
    """A measure and the names of the columns it is made of."""

    measure: Measure
    value: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Feed:
    """A topic of lines."""

    topic: str
    state: str
    """Where its checkpoints are: of each partition one transaction at a time, or a dead one would hide another's."""
    record: str
    measures: tuple[Watched, ...]
    """New ones come last: a checkpoint that lacks them is read."""
    columns: tuple[str, ...]
    """All that ``read`` gives, in order. New ones come last, too."""
    levels: int
    """How many subjects a line counts for at most."""
    read: Callable[[pl.DataFrame, Longs], Lines]
    """Lines of a decoded frame; the append times (ms) are by row of the frame."""


def late(frame: pl.DataFrame, appended_at_ms: Longs) -> Mask:
    """The lines (rows) of old events."""
    hour_us = frame["occurred_hour"].to_physical().to_numpy()
    return np.asarray(appended_at_ms * 1000 >= hour_us + LATE_HOURS * HOUR_US)


def who(frame: pl.DataFrame, keys: list[str], more: list[str]) -> tuple[Longs, pl.DataFrame]:
    """(the number of each row's ``keys``, the distinct ones in the order of their first rows, ``more`` of those)."""
    known = frame.unique(keys, keep="first", maintain_order=True).select(*keys, *more)
    numbered = known.select(keys).with_row_index("_who")
    found = frame.select(keys).join(numbered, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return found["_who"].to_numpy().astype(np.int64), known


def doubles(frame: pl.DataFrame, *columns: pl.Expr) -> list[Doubles]:
    """Columns as float64, nulls as 0."""
    made = frame.select(column.cast(pl.Float64).fill_null(0.0).alias(str(i)) for i, column in enumerate(columns))
    return [made[name].to_numpy() for name in made.columns]
