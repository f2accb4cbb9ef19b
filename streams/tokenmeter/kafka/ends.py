"""Where topics end for who reads records: after the last one that is committed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka.group import READING, asking, take

ENDS_WAIT_S = 30.0
READ_AT_ONCE = 1_000
READ_WAIT_S = 0.05
TAIL_OFFSETS = 16
"""How far before a partition's end the search for its last record begins."""

Offsets = dict[int, int]
"""By partition."""


def record_ends(client: Mapping[str, Any], topic: str) -> Offsets:
    """By partition, the offset after the last record that a reader sees: the marker that ends a transaction is at an
    offset of its own, and whoever reads records never gets there. 0 where there is none. Raises Fatal when it cannot be
    read."""
    with asking(client, "tokenmeter-ends", READING) as consumer:
        partitions = list(consumer.list_topics(topic, ENDS_WAIT_S).topics[topic].partitions)
        bounds = {}
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), ENDS_WAIT_S)
            bounds[partition] = (int(low), int(high))
        found: Offsets = {}
        tail = TAIL_OFFSETS
        while open_ := {p: bounds[p] for p in partitions if p not in found}:
            starts = {p: max(low, high - tail) for p, (low, high) in open_.items()}
            last = _last_records(consumer, topic, starts)
            # Nothing but markers so far: look further back, until the partition begins.
            found |= {p: last[p] + 1 if p in last else 0 for p in open_ if p in last or starts[p] == bounds[p][0]}
            tail *= 4
        return found


def _last_records(consumer: Consumer, topic: str, starts: Offsets) -> Offsets:
    """The last record at or after ``starts``, of the partitions that have one."""
    consumer.assign([TopicPartition(topic, partition, start) for partition, start in starts.items()])
    last: Offsets = {}
    ended: set[int] = set()
    deadline = time.monotonic() + ENDS_WAIT_S
    while len(ended) < len(starts):
        if time.monotonic() > deadline:
            raise Fatal(
                f"the end of {topic} cannot be read: an open transaction, or Kafka is away", hint="tokenmeter status"
            )
        for message in take(consumer, READ_AT_ONCE, READ_WAIT_S):
            error, partition = message.error(), int(message.partition() or 0)
            if error is None:
                last[partition] = int(message.offset() or 0)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(partition)
            else:
                raise Fatal(f"cannot read {topic}/{partition}: {error.str()}", hint="tokenmeter status")
    return last
