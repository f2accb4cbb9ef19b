"""Which partitions of usage.pages the loader has read to their ends, asked of Kafka: see store.usage_loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from tokenmeter.events.contract import PAGES
from tokenmeter.events.errors import Transient
from tokenmeter.flow.load.app import APP_ID
from tokenmeter.kafka.group import READING, asking

LOOK_S = 5.0
"""How long Kafka may take to answer."""
POLL_S = 0.1


def pages_read(client: Mapping[str, Any], now: datetime | None = None) -> dict[int, datetime | None]:
    """By partition: ``now`` where no committed page lies behind the loader's position, else None.

    Offsets alone do not tell: behind the last page lies the end of its transaction. Raises Transient when Kafka does
    not answer.
    """
    at = now or datetime.now(UTC)
    deadline = time.monotonic() + LOOK_S
    reading = {**READING, "auto.offset.reset": "earliest"}
    try:
        with asking(client, APP_ID, reading) as consumer:
            there = consumer.list_topics(PAGES, LOOK_S).topics[PAGES].partitions
            committed = consumer.committed([TopicPartition(PAGES, number) for number in there], LOOK_S)
            for one in committed:
                one.offset = one.offset if one.offset >= 0 else OFFSET_BEGINNING
            consumer.assign(committed)
            found: dict[int, datetime | None] = {}
            while len(found) < len(there):
                if time.monotonic() > deadline:
                    raise Transient(f"Kafka did not tell within {LOOK_S:g} s what the loader has read")
                for message in consumer.consume(len(there), POLL_S):
                    error = message.error()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:
                        raise Transient(f"Kafka did not tell what the loader has read: {error.str()}")
                    found.setdefault(message.partition() or 0, at if error is not None else None)
            return found
    except KafkaException as error:
        raise Transient(f"Kafka did not tell what the loader has read: {error.args[0].str()}") from error
