"""Lines become buckets: by broker time, each bucket once, in order, whatever page a line came in.

A bucket closes when a line of a later one, or the clock of an idle partition, passes its end. A line whose broker time
lies in a closed bucket counts in the open one: a closed bucket is never judged again, so neither a late event nor a
clock that jumps back can alert twice. A clock that jumps ahead closes at most AHEAD_BUCKETS; what lies farther counts
in the open bucket too.
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
        self._sums: dict[str, Doubles] = {}

    def closes(self, time_s: int) -> list[int]:
        """The buckets that end by ``time_s`` (broker time or the clock): step each, then call ``opened``."""
        bucket = time_s // self.bucket_s
        if self.open is None:
            self.open = bucket
        if not self.open < bucket <= self.open + AHEAD_BUCKETS:
            return []
        return list(range(self.open, bucket))

    def add(self, rows: Longs, subjects: int, late: Mask, calls: Doubles, **values: Doubles) -> None:
        """Lines (all of one length) of the open bucket; ``late`` ones are older than an hour."""
        for name, column in {"calls": calls, "late": calls * late, **values}.items():
            sums = self._sums.get(name, np.zeros(0))
            if len(sums) < subjects:
                self._sums[name] = sums = np.concatenate([sums, np.zeros(subjects - len(sums))])
            np.add.at(sums, rows, column)

    def take(self, subjects: int, value: str = "calls", **columns: str) -> Bucket:
        """The open bucket of the measure ``value``; ``columns`` name the sums that are its squares, paid, exposure."""
        sums = {name: self._padded(of, subjects) for name, of in columns.items()}
        late = self._padded("late", subjects) > LATE_SHARE * self._padded("calls", subjects)
        return Bucket(self._padded(value, subjects), late=late, **sums)

    def opened(self, bucket: int) -> None:
        """Begin the next bucket, empty."""
        self.open = bucket
        for sums in self._sums.values():
            sums[:] = 0

    def _padded(self, name: str, subjects: int) -> Doubles:
        sums = self._sums.get(name, np.zeros(0))
        return np.concatenate([sums, np.zeros(subjects - len(sums))])
