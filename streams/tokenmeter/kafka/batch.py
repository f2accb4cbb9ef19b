"""A record batch: what one Kafka fetch of one partition holds, as values and numpy columns.

Offsets and append times are kept as runs (one per producer batch), because a producer batch is contiguous and the
broker stamps it once; a run costs a tuple where an event would cost an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tokenmeter.kafka.packed import Values, joined_values


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` consecutive offsets from ``first_offset``, all appended by the broker at ``appended_at_ms``."""

    first_offset: int
    count: int
    appended_at_ms: int


@dataclass(slots=True)
class RecordBatch:
    """Records of one partition, covering the offsets [start_offset, next_offset).

    An offset in that range that has no value was a transaction marker or belonged to an aborted transaction.
    """

    topic: str
    partition: int
    start_offset: int
    next_offset: int
    values: Values
    runs: list[Run]
    bytes: int
    high_watermark: int = 0
    generation: int = 0
    received_at: float = field(default=0.0)

    def __len__(self) -> int:
        return len(self.values)

    def offsets(self) -> npt.NDArray[np.int64]:
        """The offset of each value, shape (len,)."""
        if not self.runs:
            return np.empty(0, np.int64)
        return np.concatenate([np.arange(r.first_offset, r.first_offset + r.count, dtype=np.int64) for r in self.runs])

    def appended_at_ms(self) -> npt.NDArray[np.int64]:
        """The broker's append time of each value, milliseconds since 1970, shape (len,)."""
        return np.repeat(
            np.array([r.appended_at_ms for r in self.runs], np.int64), np.array([r.count for r in self.runs], np.int64)
        )

    def from_offset(self, offset: int) -> RecordBatch:
        """The part of this batch at and after ``offset`` (start_offset < offset < next_offset)."""
        runs: list[Run] = []
        skipped = 0
        for run in self.runs:
            before = min(max(offset - run.first_offset, 0), run.count)
            skipped += before
            if before < run.count:
                runs.append(Run(run.first_offset + before, run.count - before, run.appended_at_ms))
        values = self.values[skipped:]
        size = sum(map(len, filter(None, values)))
        return RecordBatch(
            self.topic,
            self.partition,
            offset,
            self.next_offset,
            values,
            runs,
            size,
            self.high_watermark,
            self.generation,
            self.received_at,
        )


def merged(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Consecutive batches of one partition as one; what a batch says of the broker is what the last one says."""
    first, last = batches[0], batches[-1]
    if first is last:
        return first
    return replace(
        last,
        start_offset=first.start_offset,
        values=joined_values([batch.values for batch in batches]),
        runs=[run for batch in batches for run in batch.runs],
        bytes=sum(batch.bytes for batch in batches),
    )
