"""What is known of each subject: columns in blocks of fixed size, and the same as bytes, one record a subject.

A block never grows, so that adding subjects copies nothing, and its columns fit the processor's cache while one bucket
is judged. 1 KB a subject and measure, whatever it does. Records are little-endian and of one width; nothing is pickled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.exact import Bytes, Floats, Ints

BLOCK_ROWS = 12_500
VERSION = 4
HOURS_WEEK = 168

_F, _I, _B = np.dtype("<f4"), np.dtype("<i4"), np.dtype("u1")


class Columns:
    """Views of one block's columns, all of one length (rows), profiles (hours, rows). Units: y is in typical calls.

    The suffixes ``_up`` and ``_down`` are the two directions.
    """

    age: Ints  # buckets since birth
    idle: Ints  # buckets since the last value over zero
    group: Ints  # the group's number, −1 for none
    size_sum: Floats  # discounted Σ value
    size_squares: Floats  # discounted Σ of each call's value²
    paid: Floats  # discounted Σ currency
    level_sum: Floats  # discounted Σ y ÷ season
    level_weight: Floats  # discounted Σ exposure, in buckets for a count
    recent_sum: Floats  # as level_sum, with a half-life of hours
    recent_weight: Floats
    spread: Floats  # discounted Σ ((y − μ)² − μ)
    spread_weight: Floats  # discounted Σ μ²
    hour_y: Floats  # Σ y of this hour
    hour_mean: Floats  # Σ μ ÷ season of this hour
    hour_spread: Floats  # as spread, of whole hours
    hour_weight: Floats
    tail_start: Floats  # 98 % quantile of the residual
    tail_excess: Floats  # mean excess over it
    tail_count: Floats
    score_1: Floats  # the two scores before
    score_2: Floats
    top_spike: Floats  # the highest score today
    peak_spike: Floats  # mean of the daily maxima of the score
    hour_late: Floats  # what of hour_y is not judged, over its expectation
    sum_up: Floats  # cumulative sum, nats
    sum_slow: Floats  # of whole hours
    sum_down: Floats
    sum_quiet: Floats  # of silence
    top_up: Floats  # its maximum today
    top_slow: Floats
    top_down: Floats
    top_quiet: Floats
    peak_up: Floats  # mean of the daily maxima
    peak_slow: Floats
    peak_down: Floats
    peak_quiet: Floats
    excess_up: Floats  # value over expectation since the sum left zero
    excess_down: Floats
    begun_up: Ints  # bucket in which the sum left zero
    begun_down: Ints
    state_up: Bytes  # of the episode, see ``episodes``
    state_down: Bytes
    kind_up: Bytes
    kind_down: Bytes
    opened_up: Ints  # bucket
    opened_down: Ints
    last_up: Ints  # the last bucket that was not calm
    last_down: Ints
    told_up: Floats  # excess when it was told last
    told_down: Floats
    season_before: Floats  # factor of the hour before this one, as it was before that hour taught it
    sum_often: Floats  # of buckets in the tail
    top_often: Floats
    peak_often: Floats
    level_long: Floats  # typical calls per bucket, by weeks
    drift: Floats  # mean excess of the last hours over it, a share of it
    top_drift: Floats  # the maximum today of its square
    peak_drift: Floats
    day: Floats  # (24, rows) factor of each hour of the day
    week: Floats  # (168, rows) factor of each hour of the week, beside that of the day

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.__dict__.update(arrays)

    @property
    def rows(self) -> int:
        return len(self.age)


def _field(name: str, annotation: str) -> tuple[str, np.dtype[Any], tuple[int, ...]]:
    profile: dict[str, tuple[int, ...]] = {"day": (24,), "week": (HOURS_WEEK,)}
    kinds: dict[str, np.dtype[Any]] = {"Floats": _F, "Ints": _I, "Bytes": _B}
    return name, kinds[annotation], profile.get(name, ())


FIELDS = [_field(name, annotation) for name, annotation in Columns.__annotations__.items()]
RECORD = np.dtype([("version", "u1"), *FIELDS])
"""One subject's state on ``watch.state``."""
SINCE_4 = ("level_long", "drift", "top_drift", "peak_drift")
SINCE_3 = ("season_before", "sum_often", "top_often", "peak_often", *SINCE_4)
SINCE_2 = ("hour_late", "sum_slow", "top_slow", "peak_slow", *SINCE_3)
EARLIER = {
    version: np.dtype([("version", "u1"), *(field for field in FIELDS if field[0] not in later)])
    for version, later in ((1, SINCE_2), (2, SINCE_3), (3, SINCE_4))
}
"""The same as earlier versions had it."""


class Block:
    """Room for BLOCK_ROWS subjects, of which the first ``rows`` are used; ``columns`` shows those."""

    def __init__(self) -> None:
        self._all = {name: np.zeros((*shape, BLOCK_ROWS), kind) for name, kind, shape in FIELDS}
        self.columns = self._view(0)
        self.hourly: Any = None
        """What ``hourly`` made of the columns for the present hour."""

    def _view(self, rows: int) -> Columns:
        return Columns({name: column[..., :rows] for name, column in self._all.items()})

    @property
    def rows(self) -> int:
        return self.columns.rows

    def extend(self, rows: int) -> Columns:
        """Use ``rows`` more, zeroed; returns a view of the new ones."""
        first, self.hourly = self.rows, None
        self.columns = self._view(first + rows)
        return Columns({name: column[..., first : first + rows] for name, column in self._all.items()})


def pack(columns: Columns, rows: NDArray[np.intp]) -> NDArray[np.void]:
    """The records of ``rows``; ``.tobytes()`` of one of them is a value on ``watch.state``."""
    records = np.zeros(len(rows), RECORD)
    records["version"] = VERSION
    for name, _, _ in FIELDS:
        records[name] = getattr(columns, name)[..., rows].T
    return records


def parse(rows: int, values: bytes, fresh: NDArray[np.void]) -> NDArray[np.void]:
    """The records in ``values``. What an earlier version did not know is as in ``fresh``, the record of a new subject;
    any other version or width is an error."""
    earlier = EARLIER.get(values[0]) if values else None
    if earlier is not None and len(values) == rows * earlier.itemsize:
        old = np.frombuffer(values, earlier)
        records = np.repeat(fresh, rows)
        for name in earlier.names or ():
            records[name] = old[name]
        records["version"] += VERSION - values[0]
    elif len(values) == rows * RECORD.itemsize:
        records = np.frombuffer(values, RECORD)
    else:
        raise ValueError(f"{rows} records of watch.state have {RECORD.itemsize} bytes each, not {len(values)} in all")
    if not (records["version"] == VERSION).all():
        raise ValueError(f"a record of watch.state is not of version {VERSION}; hint: rebuild it with a backtest")
    return records


def unpack(columns: Columns, rows: NDArray[np.intp], records: NDArray[np.void]) -> None:
    """Put ``records`` into ``rows``."""
    for name, _, _ in FIELDS:
        getattr(columns, name)[..., rows] = records[name].T
