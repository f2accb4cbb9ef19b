"""Reads a stretch of one partition from the log, outside any group: what a processor's state is rebuilt from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.kafka.group import READING, asking
from tokenmeter.kafka.reading import READ_RECORDS_MAX, READ_WAIT_S, STALL_S, Pace, Taken, to_the_ends

READ_QUEUE_KBYTES_MAX = 32 << 10
"""What the client fetches ahead, for each partition that is read."""
TAIL_STEP = 16
"""How far before the end the search for the last record begins; doubled until one is found."""

SETTINGS = {
    **READING,
    "auto.offset.reset": "error",
    "queued.max.messages.kbytes": READ_QUEUE_KBYTES_MAX,
    "fetch.min.bytes": 1,
}

Wanted = Callable[[bytes | None], bool]


def any_value(value: bytes | None) -> bool:
    """Every record is wanted."""
    return True


class LogReader(Protocol):
    """The log as a processor sees it while it restores."""

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        """Committed records with start <= offset < end, in order; waits for transactions open before ``end``."""

    def end(self, topic: str, partition: int) -> int:
        """The offset after the last record, whether it is committed yet or not."""

    def last(
        self, topic: str, partition: int, before: int | None = None, wanted: Wanted = any_value
    ) -> tuple[int, int, bytes | None] | None:
        """(offset, append time in ms, value) of the last committed record (below ``before``) that is ``wanted``."""

    def offset_at(self, topic: str, partition: int, appended_at_ms: int) -> int | None:
        """The first offset appended at or after a time; None when nothing was."""


class KafkaLogReader:
    """The log of a cluster; ``client`` holds the settings every Kafka client shares. ``stall_s``: longer than a
    transaction may stay open where a read must outlast one. ``records_max``: fewer at a time, where they are large."""

    def __init__(
        self, client: Mapping[str, Any], stall_s: float = STALL_S, records_max: int = READ_RECORDS_MAX
    ) -> None:
        self._stall_s, self._records_max = stall_s, records_max
        self._client = client

    def _asking(self, **settings: Any) -> AbstractContextManager[Consumer]:
        # The client wants the name of a group; nothing is ever committed to it.
        return asking(self._client, "tokenmeter-log-reader", {**SETTINGS, **settings})

    def partitions(self, topic: str) -> int:
        """See LogReader. Fatal when the topic does not exist."""
        with self._asking() as consumer:
            found = consumer.list_topics(topic, STALL_S).topics[topic]
            if found.error is not None or not found.partitions:
                raise Fatal(f"topic {topic} does not exist: {found.error}", hint="tokenmeter topics")
            return len(found.partitions)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        """See LogReader. Fatal when the log stops short of ``end``."""
        if start >= end:
            return
        with self._asking() as consumer:
            position, pace = start, Pace(self._records_max, READ_WAIT_S, self._stall_s)
            for taken in to_the_ends(consumer, topic, {partition: start}, end, pace):
                batch = _batch(topic, partition, position, end, taken)
                if len(batch):
                    position = batch.next_offset
                    yield batch

    def start(self, topic: str, partition: int) -> int:
        """The first offset that the partition still has."""
        with self._asking() as consumer:
            return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), STALL_S)[0])

    def end(self, topic: str, partition: int) -> int:
        """See LogReader. A read_committed consumer would answer with the last stable offset."""
        with self._asking(**{"isolation.level": "read_uncommitted"}) as consumer:
            return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), STALL_S)[1])

    def last(
        self, topic: str, partition: int, before: int | None = None, wanted: Wanted = any_value
    ) -> tuple[int, int, bytes | None] | None:
        """See LogReader."""
        with self._asking() as consumer:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), STALL_S)
        end = high if before is None else min(before, high)
        step = TAIL_STEP
        while end > low:
            start = max(low, end - step)
            found = None
            for batch in self.read(topic, partition, start, end):
                at = next((n for n in reversed(range(len(batch))) if wanted(batch.values[n])), None)
                if at is not None:
                    found = (int(batch.offsets()[at]), int(batch.appended_at_ms()[at]), batch.values[at])
            if found is not None or start == low:
                return found
            step *= 2
        return None

    def offset_at(self, topic: str, partition: int, appended_at_ms: int) -> int | None:
        """See LogReader."""
        with self._asking() as consumer:
            found = consumer.offsets_for_times([TopicPartition(topic, partition, max(0, appended_at_ms))], STALL_S)[0]
        return found.offset if found.offset >= 0 else None


def _batch(topic: str, partition: int, position: int, end: int, taken: Taken) -> RecordBatch:
    offsets = [int(message.offset() or 0) for message in taken.messages]
    below = bisect_left(offsets, end)
    values = [message.value() for message in taken.messages[:below]]
    stamps = list(zip(offsets[:below], taken.stamps_ms, strict=False))
    runs: list[Run] = []
    for (_, appended_at_ms), group in groupby(enumerate(stamps), key=lambda s: (s[1][0] - s[0], s[1][1])):
        members = list(group)
        runs.append(Run(members[0][1][0], len(members), appended_at_ms))
    size = sum(map(len, filter(None, values)))
    return RecordBatch(topic, partition, position, stamps[-1][0] + 1 if stamps else position, values, runs, size)
