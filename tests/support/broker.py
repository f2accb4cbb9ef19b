"""A real broker of a test's own, with the topics of the contract."""

from __future__ import annotations

import atexit
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tokenmeter.kafka.group import READING, asking
from tokenmeter.kafka.reading import take
from tokenmeter.stack.kafka import KafkaNode, random_id
from tokenmeter.stack.topics import ensure_topics

READ_TIMEOUT_S = 60.0
MARKERS_TIMEOUT_S = 15.0
COMMITTED_TIMEOUT_S = 120.0
"""Offsets in a transaction that nobody ends are not told before the broker aborts it, after a minute."""


@dataclass(frozen=True)
class Record:
    """One record as a read_committed reader sees it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes


@cache
def _formatted() -> Path:
    """The storage of a node that has never started: formatting it takes a Java of its own, copying it nothing."""
    folder = Path(mkdtemp(prefix="tests-kafka-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    KafkaNode(folder / "kafka", folder / "kafka.log").prepare()
    return folder / "kafka"


def new_node(folder: Path) -> KafkaNode:
    """A node with an empty storage in ``folder/kafka`` and a cluster id of its own; its log is ``folder/kafka.log``."""
    shutil.copytree(_formatted(), folder / "kafka")
    meta = folder / "kafka" / "log" / "meta.properties"
    meta.write_text(re.sub("(?m)^cluster.id=.*$", f"cluster.id={random_id()}", meta.read_text("utf-8")), "utf-8")
    return KafkaNode(folder / "kafka", folder / "kafka.log")


@contextmanager
def broker(folder: Path, partitions: int = 2) -> Iterator[KafkaNode]:
    """A broker that is killed at the end; its log is ``folder/kafka.log``."""
    node = new_node(folder)
    node.start()
    try:
        ensure_topics({"bootstrap.servers": node.bootstrap}, partitions)
        yield node
    finally:
        node.kill()


def _await_markers(bootstrap: str, topic: str) -> None:
    """Wait until no transaction is open on a topic, but not for one that nobody ends.

    A commit has been answered before its markers are written, so a position may be known before what it stands for.
    """
    client = {"bootstrap.servers": bootstrap}
    level = "isolation.level"
    with (
        asking(client, "test-reader", {level: "read_committed"}) as stable,
        asking(client, "test-reader", {level: "read_uncommitted"}) as last,
    ):
        partitions = [TopicPartition(topic, number) for number in last.list_topics(topic, 10).topics[topic].partitions]
        deadline = time.monotonic() + MARKERS_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(KafkaException):
                if all(stable.get_watermark_offsets(p, 10) == last.get_watermark_offsets(p, 10) for p in partitions):
                    return
            time.sleep(0.1)


def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Every committed record of a topic, partition by partition, in order."""
    _await_markers(bootstrap, topic)
    return sorted(_committed(bootstrap, topic), key=lambda record: (record.partition, record.offset))


def _committed(bootstrap: str, topic: str, begins: Mapping[int, int] | None = None) -> Iterator[Record]:
    """The committed records of a topic, from where a partition ``begins`` to its end; by default of all, all of it."""
    reading = {**READING, "auto.offset.reset": "earliest"}
    with asking({"bootstrap.servers": bootstrap}, "test-reader", reading) as consumer:
        if begins is None:
            begins = dict.fromkeys(consumer.list_topics(topic, 10).topics[topic].partitions, 0)
        consumer.assign([TopicPartition(topic, partition, begin) for partition, begin in begins.items()])
        ended: set[int | None] = set()
        deadline = time.monotonic() + READ_TIMEOUT_S
        while len(ended) < len(begins):
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for message in take(consumer, 10_000, 0.2):
                error = message.error()
                if error is None:
                    stamp = message.timestamp()[1]
                    yield Record(message.partition(), message.offset(), stamp, message.key(), message.value() or b"")
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise KafkaException(error)


@retry(
    retry=retry_if_exception_type(KafkaException),
    stop=stop_after_delay(COMMITTED_TIMEOUT_S),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _places(bootstrap: str, group: str, topic: str) -> list[tuple[int, int, int]]:
    """(position of ``group``, begin, end) by partition; a young broker is asked until it knows its groups."""
    with asking({"bootstrap.servers": bootstrap}, group) as consumer:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        found = []
        for place in consumer.committed([TopicPartition(topic, partition) for partition in sorted(partitions)], 10):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), 10)
            found.append((place.offset if place.offset >= 0 else low, low, high))
        return found


def lag(bootstrap: str, group: str, topic: str) -> int:
    """Offsets of ``topic`` that ``group`` has not committed, a transaction's markers among them."""
    return sum(end - position for position, _, end in _places(bootstrap, group, topic))


def has_read(bootstrap: str, group: str, topic: str) -> bool:
    """Whether ``group`` has committed every record of ``topic``, and what retention took unread. A last marker is no
    record: nobody has to commit it."""
    places = _places(bootstrap, group, topic)
    if any(position < begin for position, begin, _ in places):
        return False
    begins = {partition: position for partition, (position, _, end) in enumerate(places) if position < end}

    def nothing_follows() -> bool:
        return next(_committed(bootstrap, topic, begins), None) is None

    if not begins:
        return True
    if not nothing_follows():
        return False
    _await_markers(bootstrap, topic)  # what follows may be on its way
    return nothing_follows()


def eventually(what: str, holds: Callable[[], Any], timeout_s: float = 60.0, every_s: float = 0.2) -> Any:
    """Poll until ``holds`` answers something true; fails naming ``what`` at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = holds()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(every_s)


def stamped_by_producers(bootstrap: str, topic: str) -> None:
    """Let a record's time be what its producer says, so that a history can be written in a moment."""
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})  # gone before its answer, the answer never comes
    admin.incremental_alter_configs([resource])[resource].result(30)
