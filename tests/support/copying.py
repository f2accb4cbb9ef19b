"""Copies what one broker committed into a fresh one, with something changed on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from support.broker import Record, broker, read_all
from tokenmeter.events.contract import EVENTS, TOPICS

Topics = dict[str, list[Record]]
"""Committed records of each topic, by partition and in order."""


def snapshot(bootstrap: str) -> Topics:
    """Everything that is committed on the contract's topics."""
    return {topic.name: read_all(bootstrap, topic.name) for topic in TOPICS}


def unchanged(topics: Topics) -> None:
    """The honest copy."""


@contextmanager
def copied(
    folder: Path, topics: Topics, partitions: int, group: str, change: Callable[[Topics], None] = unchanged
) -> Iterator[str]:
    """A broker that holds ``topics`` after ``change`` was made to them, and where ``group`` has read every event.

    Records keep their partitions and their order; events also their offsets, since nothing aborted lies between them.
    """
    made = {name: list(records) for name, records in topics.items()}
    change(made)
    with broker(folder, partitions) as node:
        producer = Producer({"bootstrap.servers": node.bootstrap, "enable.idempotence": True})
        for name, records in made.items():
            for record in records:
                producer.produce(name, record.value, record.key, record.partition)
            assert producer.flush(30) == 0
        ends = [sum(r.partition == number for r in topics[EVENTS]) for number in range(partitions)]
        _commit(node.bootstrap, group, [TopicPartition(EVENTS, number, end) for number, end in enumerate(ends)])
        yield node.bootstrap


@retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True)
def _commit(bootstrap: str, group: str, offsets: list[TopicPartition]) -> None:
    """A young broker is asked until it knows its groups."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()
