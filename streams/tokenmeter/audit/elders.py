"""What the customers of a partition sent before usage.events grew: it lies on another partition, and repeats of it are
repeats still. It is read before the partition's own records, and is in none of its pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tokenmeter.audit.blocks import Block
from tokenmeter.audit.reference import LogRecord
from tokenmeter.audit.sources import KafkaTopics
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.growth import Growth, ancestors


@dataclass(frozen=True)
class Stretch:
    """Offsets [start, end) of a partition of usage.events."""

    partition: int
    start: int
    end: int


def stretches(
    kafka: KafkaTopics, grown: Sequence[Growth], partition: int, first_offset: int, horizon_ms: int
) -> list[Stretch]:
    """What lies within a horizon before the event at ``first_offset`` of ``partition``, where its customers were."""
    found: list[Stretch] = []
    places = ancestors(grown, partition)
    appended_at_ms = kafka.appended_at_ms(EVENTS, partition, first_offset) if places else None
    if appended_at_ms is None:
        return found
    for elder, end in places:
        start = kafka.offset_at(EVENTS, elder, appended_at_ms - horizon_ms)
        if start < end:
            found.append(Stretch(elder, start, end))
    return found


def elder_blocks(kafka: KafkaTopics, before: Sequence[Stretch]) -> Iterator[Block]:
    """The records of ``before``, at offsets below 0."""
    for one in before:
        for block in kafka.read(EVENTS, one.partition, one.start):
            count = int(np.searchsorted(block.offsets, one.end))
            part = block.part(0, count)
            yield Block(part.values, part.offsets - one.end, part.appended_at_ms)
            if count < len(block):
                break


def elder_records(kafka: KafkaTopics, before: Sequence[Stretch]) -> Iterator[LogRecord]:
    """See ``elder_blocks``."""
    for one in before:
        for record in kafka.records(EVENTS, one.partition, one.start, one.end):
            yield LogRecord(record.offset - one.end, record.appended_at_ms, record.value)
