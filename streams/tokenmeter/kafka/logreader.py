"""Reads a stretch of one partition from the log, outside any group: what a processor's state is rebuilt from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.kafka.group import READING, asking, take

READ_RECORDS_MAX = 50_000
"""Records taken from the client in one call."""
READ_QUEUE_KBYTES_MAX = 32 << 10
"""What the client fetches ahead, for each partition that is read."""
READ_WAIT_S = 0.2
"""How long that call waits for the first of them."""
STALL_S = 30.0
"""A read that brings nothing for this long has failed."""
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
            consumer.assign([TopicPartition(topic, partition, start)])
            position, heard_at = start, time.monotonic()
            while position < end:
                messages = take(consumer, min(self._records_max, end - position), READ_WAIT_S)
                errors = [error for m in messages if (error := m.error()) is not None]
                for error in errors:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                # Not the consumer's position: some versions of librdkafka count the event of the end as a record.
                reached = max((int(m.offset() or 0) + (m.error() is None) for m in messages), default=start)
                records = [m for m in messages if m.error() is None and int(m.offset() or 0) < end]
                if messages:
                    heard_at = time.monotonic()
                if records:
                    batch = _batch(topic, partition, position, records)
                    position = batch.next_offset
                    yield batch
                    heard_at = time.monotonic()  # what is done with a batch may take its time
                if reached >= end:
                    return
                if time.monotonic() - heard_at > self._stall_s:
                    raise Fatal(
                        f"{topic}/{partition} stands still at offset {position} of {end}: no record for "
                        f"{self._stall_s:.0f} s; a transaction is open, or Kafka is away",
                        hint="tokenmeter status; then the same again",
                    )

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


def _batch(topic: str, partition: int, position: int, records: list[Any]) -> RecordBatch:
    values = [record.value() for record in records]
    stamps = [(record.offset(), record.timestamp()[1]) for record in records]
    runs: list[Run] = []
    for (_, appended_at_ms), group in groupby(enumerate(stamps), key=lambda s: (s[1][0] - s[0], s[1][1])):
        members = list(group)
        runs.append(Run(members[0][1][0], len(members), appended_at_ms))
    size = sum(map(len, filter(None, values)))
    return RecordBatch(topic, partition, position, stamps[-1][0] + 1, values, runs, size)
