"""Copies what one broker committed into another, with something changed on the way."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from support.broker import Record, eventually, read_all
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS, TOPICS
from tokenmeter.stack.topics import ensure_topics

Topics = dict[str, list[Record]]
"""Committed records of each topic, by partition and in order."""


def snapshot(bootstrap: str) -> Topics:
    """Everything that is committed on the contract's topics."""
    return {topic.name: read_all(bootstrap, topic.name) for topic in TOPICS}


def unchanged(topics: Topics) -> None:
    """The honest copy."""


def fill(
    bootstrap: str, topics: Topics, partitions: int, group: str, change: Callable[[Topics], None] = unchanged
) -> None:
    """Let a broker hold ``topics`` after ``change`` was made to them, and nothing else; ``group`` has read every event.

    Records keep their partitions and their order; events also their offsets, since nothing aborted lies between them.
    """
    made = {name: list(records) for name, records in topics.items()}
    change(made)
    _empty(bootstrap, partitions)
    producer = Producer({**SILENT, "bootstrap.servers": bootstrap, "enable.idempotence": True})
    for name, records in made.items():
        for record in records:
            producer.produce(name, record.value, record.key, record.partition)
    assert producer.flush(30) == 0
    ends = [sum(r.partition == number for r in topics[EVENTS]) for number in range(partitions)]
    _commit(bootstrap, group, [TopicPartition(EVENTS, number, end) for number, end in enumerate(ends)])


def _empty(bootstrap: str, partitions: int) -> None:
    """The contract's topics, new."""
    admin = AdminClient({**SILENT, "bootstrap.servers": bootstrap})
    for gone in admin.delete_topics([topic.name for topic in TOPICS]).values():
        gone.result(30)
    eventually("the topics are gone", lambda: not set(admin.list_topics(timeout=10).topics) & {t.name for t in TOPICS})
    ensure_topics({"bootstrap.servers": bootstrap}, partitions)


@retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True)
def _commit(bootstrap: str, group: str, offsets: list[TopicPartition]) -> None:
    """A young broker is asked until it knows its groups."""
    consumer = Consumer({"bootstrap.servers": bootstrap, **SILENT, "group.id": group, "enable.auto.commit": False})
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()
