"""Asks about a consumer group, or reads topics, without joining one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tokenmeter.events.access import SILENT

QUIET: Mapping[str, Any] = {"log_level": 2}
READING: Mapping[str, Any] = {
    **QUIET,
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 10,
}
"""For who assigns partitions itself, and wants committed records and to be told of the end: the broker says it after
that wait, half a second by default. A client whose queue is full looks a second later by default whether it still is:
who reads faster than that stands still meanwhile."""


@contextmanager
def asking(client: Mapping[str, Any], group: str, settings: Mapping[str, Any] = QUIET) -> Iterator[Consumer]:
    """See ``lone``; it is closed afterwards."""
    consumer = lone(client, group, settings)
    try:
        yield consumer
    finally:
        consumer.close()


class Group:
    """What the partitions of a worker ask about their group; used by many threads.

    Its consumer is made when first asked, and kept: one for each question would be two logins and three threads for
    each partition that a worker begins with, and it begins with all of them at once.
    """

    def __init__(self, client: Mapping[str, Any], group: str) -> None:
        self._client, self._group = client, group
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None

    def committed(self, topic: str, partition: int, within_s: float) -> TopicPartition:
        """The committed offset, below 0 where there is none, and its metadata. Raises KafkaException."""
        found = self._asked().committed([TopicPartition(topic, partition)], within_s)[0]
        if found.error:
            raise KafkaException(found.error)
        return found

    def start(self, topic: str, partition: int, within_s: float) -> int:
        """The first offset that the partition still has. Raises KafkaException."""
        low, _ = self._asked().get_watermark_offsets(TopicPartition(topic, partition), within_s)
        return int(low)

    def metadata(self) -> Any:
        """The group as a transaction names it."""
        return self._asked().consumer_group_metadata()

    def _asked(self) -> Consumer:
        with self._lock:
            if self._consumer is None:
                self._consumer = lone(self._client, self._group, {})
            return self._consumer


def lone(client: Mapping[str, Any], group: str, settings: Mapping[str, Any] = QUIET) -> Consumer:
    """A consumer that joins nothing and commits nothing, for who keeps one; it wants a group's name all the same."""
    return Consumer({**client, **SILENT, "group.id": group, "enable.auto.commit": False, **settings})
