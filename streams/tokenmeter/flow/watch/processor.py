"""The watch as a page processor: one partition of lines into watch.state and alerts.

A checkpoint of all that it knows goes into the page's transaction every CHECKPOINT_BUCKETS; a new owner reads the last
one and the lines since, and decides as the dead one did. See README.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tokenmeter.events.contract import ALERTS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.ledger import Alert
from tokenmeter.events.watch import WatchState
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.watch.bucket import Plan
from tokenmeter.flow.watch.checkpoint import ANEW, key, newest, restored, rows_of, state_of
from tokenmeter.flow.watch.feed import Feed
from tokenmeter.flow.watch.partition import Watch
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.logreader import LogReader

log = logging.getLogger(__name__)

CHECKPOINT_BUCKETS = 30
"""Minutes that a new owner has to judge again at most."""
CHECKPOINT_LINES_MAX = 1_000_000
"""... and lines that it has to read again."""
CLOCK_BEHIND_S = 10
"""The clock closes a bucket so long after its end and after the last line: another may be on its way."""
HISTORY_S = 3600
"""What happened longer ago than that when the watch began for the first time is learned from, not told."""
PHASE = 7
"""The partitions of a topic write their checkpoints in different minutes."""


class WatchProcessor:
    """See ``tokenmeter.flow.page.page.Processor`` and ``Clocked``; ``clock`` is seconds since 1970."""

    def __init__(
        self, feed: Feed, partition: int, log: LogReader, clock: Callable[[], float], plan: Settings | None = None
    ) -> None:
        self._feed, self._partition, self._log, self._clock = feed, partition, log, clock
        self._plan = plan or Settings()
        self._start(Watch(feed, self._plan, partition, 0), None, 0)

    def _start(self, watch: Watch, state: WatchState | None, position: int) -> None:
        self.watch = watch
        self._state, self._position = state, position
        self._lines = 0
        self._heard_s = self._clock()
        self._clocked = False
        self._alerts: list[Alert] = []

    def restore(self, position: int) -> None:
        """Read the last checkpoint and judge what came after it again. See Processor."""
        found = newest(self._log, self._feed, self._partition)
        if found is None:
            if position:
                raise Fatal(f"{self._name} is at {position}, but {self._feed.state} has no checkpoint of it", hint=ANEW)
            told_from = (int(self._clock()) - HISTORY_S) // self._plan.bucket_s
            self._start(Watch(self._feed, self._plan, self._partition, told_from), None, 0)
            return
        state, rows = found
        if state.next_offset > position:
            raise Fatal(
                f"{self._name}: the committed position is {position}, but {self._feed.state} knows lines up to offset "
                f"{state.next_offset - 1}: somebody moved the consumer group or rewrote the topic",
                hint=ANEW,
            )
        self._start(restored(self._feed, self._plan, state, rows), state, position)
        at = self._first_left(state.next_offset, position)
        for until, bucket in zip(state.clock_offsets, state.clock_buckets, strict=True):
            self._again(at, until)
            self.watch.pass_to(bucket)
            at = max(at, until)
        self._again(at, position)
        self.watch.plan = self._plan
        for detector in self.watch.detectors:
            detector.plan = Plan.of(self._plan, detector.plan.measure)

    def add(self, batch: RecordBatch) -> Demand:
        """Take a batch of lines; an alert wants the page closed at once. See Processor."""
        self._alerts += self._fold(batch)
        self._position, self._heard_s = batch.next_offset, self._clock()
        return Demand.CLOSE if self._alerts else Demand.NOTHING

    def pass_time(self) -> Demand:
        """Let the clock close what is over. See Clocked."""
        now_s, open_bucket = self._clock(), self.watch.collect.open
        bucket = (int(now_s) - CLOCK_BEHIND_S) // self._plan.bucket_s
        if self._state is None or open_bucket is None or bucket <= open_bucket:
            return Demand.NOTHING
        if now_s - self._heard_s < CLOCK_BEHIND_S:
            return Demand.NOTHING
        self._alerts += self.watch.pass_to(bucket)
        offsets, buckets = list(self._state.clock_offsets), list(self._state.clock_buckets)
        if offsets and offsets[-1] == self._position:
            buckets[-1] = bucket
        else:
            offsets.append(self._position)
            buckets.append(bucket)
        clocked = {"clock_offsets": tuple(offsets), "clock_buckets": tuple(buckets)}
        self._state, self._clocked = self._state.model_copy(update=clocked), True
        return Demand.CLOSE

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """The alerts, and a checkpoint when it is due. See Processor."""
        told = self._alerts
        outgoing = [Outgoing(ALERTS, [one.account_id.encode() for one in told], [one.to_value() for one in told])]
        if self._is_due():
            number = self._state.checkpoint + 1 if self._state else 1
            keys: list[bytes | None] = []
            values: list[bytes] = []
            for rows in rows_of(self.watch, number):
                keys.append(key(self._feed.topic, rows.part, rows.chunk))
                values.append(rows.to_value())
            self._state, self._lines = state_of(self.watch, number, bounds.next_offset), 0
            outgoing.append(Outgoing(self._feed.state, keys, values, self._partition))
            self._clocked = True
        if self._clocked and self._state is not None:
            value = self._state.to_value()
            outgoing.append(Outgoing(self._feed.state, [key(self._feed.topic)], [value], self._partition))
        return outgoing

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._alerts, self._clocked = [], False

    def remembered(self) -> int:
        """The subjects. See Processor."""
        return self.watch.subjects.watched

    @property
    def _name(self) -> str:
        return f"{self._feed.topic}/{self._partition}"

    def _fold(self, batch: RecordBatch) -> list[Alert]:
        if not len(batch):
            return []
        self._lines += len(batch)
        # What is no line of ours the loader puts aside.
        frame, at_ms = decode(batch.values, self._feed.record).frame, batch.appended_at_ms()
        lines = self._feed.read(frame, at_ms)
        return self.watch.fold(lines, at_ms[lines.place] // 1000, batch.offsets()[lines.place])

    def _first_left(self, offset: int, position: int) -> int:
        """``offset``, or the first line after it that retention has left."""
        first = self._log.offset_at(self._feed.topic, self._partition, 0)
        left = position if first is None else first
        if left > offset:
            log.warning("%s: retention removed the lines %d to %d after the checkpoint", self._name, offset, left - 1)
        return max(offset, left)

    def _again(self, start: int, end: int) -> None:
        for batch in self._log.read(self._feed.topic, self._partition, start, end):
            self._fold(batch)

    def _is_due(self) -> bool:
        if self._state is None or self._lines >= CHECKPOINT_LINES_MAX:
            return True
        now, before = self.watch.collect.open, self._state.open_bucket
        return now != before and (now is None or before is None or self._slot(now) != self._slot(before))

    def _slot(self, bucket: int) -> int:
        return (bucket + PHASE * self._partition) // CHECKPOINT_BUCKETS
