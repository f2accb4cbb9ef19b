"""The loader: one partition of any topic of ours, a page at a time, into its ClickHouse table.

What is no record of ours, or has values that ClickHouse refuses, it puts aside, see ``foreign.py``, and goes on.

Its transaction is insert, then commit. A page that was inserted but not committed is inserted again after a crash, and
the tables are keyed so that twice is once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events.contract import (
    EVENTS,
)
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import APPENDED_AT_MS, validate
from tokenmeter.flow.load.sift import Insert, sift
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.meter.routes import Homes
from tokenmeter.flow.page import foreign
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.kafka.batch import RecordBatch

I64 = npt.NDArray[np.int64]


@dataclass
class Loader:
    """A page processor for one partition of ``topic``; see ``tokenmeter.flow.page.page.Processor``."""

    topic: str
    partition: int
    insert: Insert
    homes: Callable[[int], Homes] = lambda partition: Homes(partition, 1)
    """Of a partition of usage.events: what is misrouted is left out, too."""
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _foreign: list[pl.DataFrame] = field(default_factory=list)
    _batches: list[tuple[RecordBatch, I64]] = field(default_factory=list)
    """Where each row of ``_frames`` stands, for one that ClickHouse refuses; usage.events has none that passes."""
    _homes: Homes | None = None

    def restore(self, position: int) -> None:
        """There is no state: the table is it. See Processor."""
        if self.topic == EVENTS:
            self._homes = self.homes(self.partition)

    def add(self, batch: RecordBatch) -> Demand:
        """Decode a batch. See Processor; unusable events are the meter's to quarantine and are left out here.

        Fatal when a later tokenmeter wrote it: its table would lack what this one cannot read.
        """
        record, table = TABLES[self.topic]
        decoded = decode(batch.values, record)
        index = decoded.frame[INDEX].to_numpy()
        if self.topic == EVENTS:
            usable, _ = validate(decoded.frame, batch.appended_at_ms()[index])
            offsets = batch.offsets()
            if self._homes is not None:
                usable, _ = self._homes.split(usable, offsets[usable[INDEX].to_numpy()])
            offsets = offsets[usable[INDEX].to_numpy()]
            self._frames.append(
                usable.drop(INDEX, APPENDED_AT_MS).with_columns(
                    pl.lit(self.partition, pl.Int32).alias("partition"),
                    pl.Series("offset", offsets),
                    usable[APPENDED_AT_MS].cast(pl.Datetime("ms", "UTC")).alias("appended_at"),
                )
            )
        else:
            if decoded.rejected:
                foreign.require_no_newer(self.topic, self.partition, batch, decoded.rejected, table)
                self._foreign.append(foreign.rows(self.topic, self.partition, batch, decoded.rejected))
            self._frames.append(decoded.frame.drop(INDEX))
            self._batches.append((batch, index))
        return Demand.NOTHING

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """Insert the page; the transaction itself carries only the position. See Processor."""
        frame = pl.concat(self._frames) if self._frames else pl.DataFrame()
        table = TABLES[self.topic][1]
        if frame.height and self.topic == EVENTS:
            self.insert(table, frame)
        elif frame.height:
            refused = sift(self.insert, table, frame)
            self._foreign += foreign.refused(self.topic, self.partition, self._batches, refused)
        if self._foreign:
            self.insert(foreign.TABLE, pl.concat(self._foreign))
        return []

    def remembered(self) -> int:
        """Nothing: the table is its memory. See Processor."""
        return 0

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._frames, self._foreign, self._batches = [], [], []
