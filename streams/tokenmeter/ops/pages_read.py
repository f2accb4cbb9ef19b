"""Which partitions of usage.pages the loader has read to their ends, asked of Kafka: see store.usage_loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from tokenmeter.events.contract import PAGES
from tokenmeter.events.errors import Fatal, Transient
from tokenmeter.events.groups import LOAD
from tokenmeter.kafka.ends import ends_of
from tokenmeter.kafka.group import READING, asking

LOOK_S = 5.0
"""How long Kafka may take to answer."""


def pages_read(client: Mapping[str, Any], now: datetime | None = None) -> dict[int, datetime | None]:
    """By partition: ``now`` where no committed page lies behind the loader's position, else None.

    Offsets alone do not tell: behind the last page lies the end of its transaction. Raises Transient when Kafka does
    not answer.
    """
    at = now or datetime.now(UTC)
    try:
        with asking(client, LOAD.id, READING) as consumer:
            there = consumer.list_topics(PAGES, LOOK_S).topics[PAGES].partitions
            committed = consumer.committed([TopicPartition(PAGES, number) for number in there], LOOK_S)
            ends = ends_of(consumer, PAGES, there, LOOK_S)
    except KafkaException as error:
        raise Transient(f"Kafka did not tell what the loader has read: {error.args[0].str()}") from error
    except Fatal as error:
        raise Transient(f"Kafka did not tell what the loader has read: {error}") from error
    return {one.partition: at if max(0, one.offset) >= ends[one.partition] else None for one in committed}
