"""Lines become buckets: by broker time, each bucket once, in order, whatever page a line came in.

A bucket closes when a line of a later one, or the clock of an idle partition, passes its end. A line whose broker time
lies in a closed bucket counts in the open one: a closed bucket is never judged again, so neither a late event nor a
clock that jumps back can alert twice. What lies more than AHEAD_BUCKETS
off, ahead or behind, is of another clock and counts in the open bucket too; but when lines of two such buckets follow
each other it is another time: the open bucket is judged, those between never are, and it goes on from there.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.exact import Doubles, Longs, Mask
from tokenmeter.flow.watch.settings import LATE_SHARE

AHEAD_BUCKETS = 1440


class Collect:
    """Sums of the open bucket. Values are added one line after another, so that page cuts do not change a bit."""

    def __init__(self, bucket_s: int = 60) -> None:
        self.bucket_s = bucket_s
        self.open: int | None = None
        self.offsets: tuple[int, int] | None = None
        """Of the first and the last line of the open bucket."""
        self.away: int | None = None
        """The bucket in which lines of another time began."""
        self._sums: dict[str, Doubles] = {}

    def closes(self, time_s: int) -> list[int]:
        """The buckets that end by ``time_s`` (broker time or the clock): step each, then call ``opened``."""
        bucket = time_s // self.bucket_s
        if self.open is None:
            self.open = bucket
        if not self.open < bucket <= self.open + AHEAD_BUCKETS:
            return []
        return list(range(self.open, bucket))

    def is_another_time(self, time_s: int) -> bool:
        """Whether lines go on at a time far from the open bucket; then judge it, and call ``opened`` with theirs."""
        bucket = time_s // self.bucket_s
        if self.open is None or abs(bucket - self.open) <= AHEAD_BUCKETS:
            self.away = None
            return False
        before, self.away = self.away, bucket
        if before is not None and before < bucket <= before + AHEAD_BUCKETS:
            return True
        self.away = bucket if before is None or abs(bucket - before) > AHEAD_BUCKETS else before
        return False

    def add(self, rows: Longs, subjects: int, late: Mask, calls: Doubles, **values: Doubles) -> None:
        """Lines (all of one length) of the open bucket; ``late`` ones are older than an hour."""
        for name, column in {"calls": calls, "late": calls * late, **values}.items():
            np.add.at(self._room(name, subjects), rows, column)

    def take(self, subjects: int, value: str = "calls", **columns: str) -> Bucket:
        """The open bucket of the measure ``value``; ``columns`` name the sums that are its squares, paid, exposure."""
        sums = {name: self._padded(of, subjects) for name, of in columns.items()}
        late = self._padded("late", subjects) > LATE_SHARE * self._padded("calls", subjects)
        return Bucket(self._padded(value, subjects), late=late, **sums)

    def opened(self, bucket: int) -> None:
        """Begin the next bucket, empty."""
        self.open, self.offsets, self.away = bucket, None, None
        for sums in self._sums.values():
            sums[:] = 0

    def sums(self, name: str, first: int, end: int) -> Doubles:
        """What the rows [first, end) have of a column by now."""
        return self._padded(name, end)[first:]

    def restore(self, name: str, first: int, sums: Doubles) -> None:
        """Put back what ``sums`` gave."""
        self._room(name, first + len(sums))[first : first + len(sums)] = sums

    def _room(self, name: str, subjects: int) -> Doubles:
        sums = self._sums.get(name, np.zeros(0))
        if len(sums) < subjects:
            # Twice the room: a new subject in each batch must not copy all the others each time.
            self._sums[name] = sums = np.concatenate([sums, np.zeros(2 * subjects - len(sums))])
        return sums

    def _padded(self, name: str, subjects: int) -> Doubles:
        return self._room(name, subjects)[:subjects]
