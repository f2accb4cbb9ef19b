"""Where topics end for who reads records: after the last one that is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tokenmeter.kafka.group import READING, asking
from tokenmeter.kafka.reading import Pace, to_the_ends

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
        return ends_of(consumer, topic, list(consumer.list_topics(topic, ENDS_WAIT_S).topics[topic].partitions))


def ends_of(consumer: Consumer, topic: str, partitions: Iterable[int], within_s: float = ENDS_WAIT_S) -> Offsets:
    """See ``record_ends``; of a ``consumer`` made as READING says, each question answered ``within_s``."""
    bounds = {}
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), within_s)
        bounds[partition] = (int(low), int(high))
    found: Offsets = {}
    tail, pace = TAIL_OFFSETS, Pace(READ_AT_ONCE, READ_WAIT_S, within_s)
    while open_ := {p: span for p, span in bounds.items() if p not in found}:
        starts = {p: max(low, high - tail) for p, (low, high) in open_.items()}
        last = {
            int(message.partition() or 0): int(message.offset() or 0)
            for taken in to_the_ends(consumer, topic, starts, pace=pace)
            for message in taken.messages
        }
        # Nothing but markers so far: look further back, until the partition begins.
        found |= {p: last[p] + 1 if p in last else 0 for p in open_ if p in last or starts[p] == bounds[p][0]}
        tail *= 4
    return found
