"""Where the audit reads: topics from Kafka (committed records only) and sums from ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tokenmeter.audit.blocks import I64, Block
from tokenmeter.audit.reference import LogRecord
from tokenmeter.events.errors import Fatal
from tokenmeter.events.groups import LOAD
from tokenmeter.kafka.group import READING, asking
from tokenmeter.kafka.positions import positions, wait_past
from tokenmeter.kafka.reading import Pace, to_the_ends
from tokenmeter.store.statement import sql

KAFKA_TIMEOUT_S = 30.0
PACE = Pace(records_max=10_000)
END_WAIT_MS = 5
"""How long the broker looks for more before it tells that a log has ended; an audit comes to the end of some 36."""
LOADED_TIMEOUT_S = 60.0
TABLES: tuple[str, ...] = (
    "usage_events",
    "usage_billing",
    "usage_market",
    "usage_resale",
    "usage_pages",
    "quarantine",
    "ledger_entries",
)


SETTINGS = {
    **READING,
    "fetch.min.bytes": 1 << 20,
    "fetch.wait.max.ms": END_WAIT_MS,
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 64 << 10,
    "auto.offset.reset": "earliest",
}


class KafkaTopics:
    """Reads topics by hand: no group is joined, nothing is committed."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self.client = dict(client)

    def _asking(self) -> AbstractContextManager[Consumer]:
        return asking(self.client, "tokenmeter-audit", SETTINGS)

    def partitions(self, topic: str) -> list[int]:
        """Its partitions. Raises Fatal when Kafka does not answer or has no such topic."""
        try:
            with self._asking() as consumer:
                found = consumer.list_topics(topic, KAFKA_TIMEOUT_S).topics[topic]
                if found.error:
                    raise Fatal(f"topic {topic}: {found.error.str()}", hint="tokenmeter topics")
                return sorted(found.partitions)
        except KafkaException as error:
            raise Fatal(f"Kafka does not answer: {error.args[0].str()}", hint="tokenmeter status") from error

    def has(self, topic: str) -> bool:
        """Whether there is such a topic."""
        with self._asking() as consumer:
            return topic in consumer.list_topics(timeout=KAFKA_TIMEOUT_S).topics

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Block]:
        """Every committed record that is there now at or after ``start``, in order."""
        with self._asking() as consumer:
            for taken in to_the_ends(consumer, topic, {partition: start}, pace=PACE):
                values = [message.value() for message in taken.messages]
                yield Block(values, _offsets(taken.messages), np.array(taken.stamps_ms, np.int64))

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[LogRecord]:
        """Committed records with start <= offset < end, one by one."""
        for block in self.read(topic, partition, start):
            for value, offset, at in zip(
                block.values, block.offsets.tolist(), block.appended_at_ms.tolist(), strict=True
            ):
                if offset >= end:
                    return
                yield LogRecord(offset, at, value)

    def log_start(self, topic: str, partition: int) -> int:
        """The first offset the partition still has."""
        with self._asking() as consumer:
            return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), KAFKA_TIMEOUT_S)[0])

    def log_end(self, topic: str, partition: int) -> int:
        """The offset that the partition's next record will have."""
        with self._asking() as consumer:
            return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), KAFKA_TIMEOUT_S)[1])

    def offset_at(self, topic: str, partition: int, appended_at_ms: int) -> int:
        """The first offset appended at or after a time, or the end of the log."""
        with self._asking() as consumer:
            asked = TopicPartition(topic, partition, max(0, appended_at_ms))
            found = int(consumer.offsets_for_times([asked], KAFKA_TIMEOUT_S)[0].offset)
            return found if found >= 0 else int(consumer.get_watermark_offsets(asked, KAFKA_TIMEOUT_S)[1])

    def appended_at_ms(self, topic: str, partition: int, offset: int) -> int | None:
        """When the first committed record at or after ``offset`` was appended; None when there is none."""
        first = next(self.read(topic, partition, offset), None)
        return None if first is None else int(first.appended_at_ms[0])

    def positions(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """The next offset ``group`` will read of each partition, 0 when it has none yet."""
        found = positions(self.client, group, [(topic, one) for one in partitions])
        return {partition: at for (_, partition), at in found.items()}

    def committed(self, group: str, topic: str, partition: int) -> int:
        """See ``positions``, of one partition."""
        return self.positions(group, topic, [partition])[partition]


def wait_loaded(kafka: KafkaTopics, ends: Mapping[tuple[str, int], int]) -> None:
    """Wait until the loader says that it has stored every record up to these offsets. Fatal if it stays behind."""
    behind = wait_past(kafka.client, LOAD.id, {place: last + 1 for place, last in ends.items()}, LOADED_TIMEOUT_S)
    if behind is not None:
        (topic, partition), at, last = behind.place, behind.at, behind.end - 1
        raise Fatal(
            f"ClickHouse is behind: {topic}/{partition} is loaded to offset {at - 1}, the topic ends at {last}",
            hint="tokenmeter status; then run the audit again",
        )


def _offsets(messages: Sequence[Message]) -> I64:
    """Offsets only rise, so that two of them tell a run without a hole."""
    first, last = int(messages[0].offset() or 0), int(messages[-1].offset() or 0)
    if last - first + 1 == len(messages):
        return np.arange(first, last + 1, dtype=np.int64)
    return np.array([message.offset() for message in messages], np.int64)


def stored(client: Client, partition: int, firsts: Sequence[int], end: int) -> dict[str, dict[int, dict[str, Any]]]:
    """By table, then by a page's first offset: its sums in ClickHouse. ``firsts`` ascending, ``end`` exclusive."""
    parameters = {"partition": partition, "firsts": list(firsts), "begin": firsts[0], "end": end}
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for table in TABLES:
        statement = sql(table, "tokenmeter.audit")
        rows = client.query(statement, parameters=parameters).named_results()
        found[table] = {row["first_offset"]: dict(row) for row in rows}
    return found
