"""Topics in memory as a LogReader shows them: committed records at their offsets, holes where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenmeter.flow.page.page import Outgoing
from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.kafka.logreader import Wanted, any_value

BATCH_RECORDS = 50


class TopicLog:
    """One partition of each topic. ``marker`` leaves an offset without a record, ``compact`` the last of each key."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.records: dict[str, list[tuple[int, int, bytes | None, bytes]]] = {}

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes], at_ms: int) -> None:
        for key, value in zip(keys, values, strict=True):
            self.records.setdefault(topic, []).append((self.end(topic, 0), at_ms, key, value))
            self.marker(topic)

    def marker(self, topic: str) -> None:
        self.ends[topic] = self.end(topic, 0) + 1

    def commit(self, outgoing: Sequence[Outgoing], at_ms: int) -> None:
        """A transaction: its records, and a marker on each topic."""
        for records in (one for one in outgoing if one.values):
            self.append(records.topic, records.keys, records.values, at_ms)
            self.marker(records.topic)

    def compact(self, topic: str) -> None:
        last = {key: offset for offset, _, key, _ in self.records[topic]}
        self.records[topic] = [record for record in self.records[topic] if last[record[2]] == record[0]]

    def values(self, topic: str) -> list[bytes]:
        return [value for _, _, _, value in self.records.get(topic, [])]

    def batch(self, topic: str, start: int, end: int) -> RecordBatch:
        """Every record in [start, end) as one batch."""
        found = [record for record in self.records.get(topic, []) if start <= record[0] < end]
        runs = [Run(offset, 1, at_ms) for offset, at_ms, _, _ in found]
        return RecordBatch(topic, 0, start, end, [value for *_, value in found], runs, 0, self.end(topic, 0))

    def partitions(self, topic: str) -> int:
        return 1

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        for at in range(start, end, BATCH_RECORDS):
            batch = self.batch(topic, at, min(end, at + BATCH_RECORDS))
            if len(batch):
                yield batch

    def end(self, topic: str, partition: int) -> int:
        return self.ends.get(topic, 0)

    def last(
        self, topic: str, partition: int, before: int | None = None, wanted: Wanted = any_value
    ) -> tuple[int, int, bytes | None] | None:
        raise NotImplementedError

    def offset_at(self, topic: str, partition: int, appended_at_ms: int) -> int | None:
        later = (offset for offset, at_ms, *_ in self.records.get(topic, []) if at_ms >= appended_at_ms)
        return next(later, None)
