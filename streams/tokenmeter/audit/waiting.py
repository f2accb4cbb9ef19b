"""What Kafka has acknowledged and the meter has not metered: a stopped meter leaves nothing else that differs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tokenmeter.audit.sources import KafkaTopics
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.groups import METER
from tokenmeter.kafka.positions import POSITIONS_LOOK_S

METERED_WAIT_S = 15.0
"""A meter that works is past any event by then: a page closes after five seconds."""


@dataclass(frozen=True)
class Waiting:
    """Events of a partition from ``offset`` on that are in Kafka and in no page."""

    partition: int
    offset: int
    events: int

    def __str__(self) -> str:
        return f"{EVENTS}/{self.partition}: {self.events} events from offset {self.offset} on are not metered yet"


def waiting(kafka: KafkaTopics, ends: Mapping[int, int], wait_s: float = METERED_WAIT_S) -> list[Waiting]:
    """Of the events below ``ends`` by partition, those that the meter has not committed ``wait_s`` from now."""
    deadline = time.monotonic() + wait_s
    while True:
        positions = kafka.positions(METER.id, EVENTS, sorted(ends))
        left = {
            partition: kafka.records(EVENTS, partition, position, ends[partition])
            for partition, position in positions.items()
            if position < ends[partition]
        }
        # Behind the last event there may be markers of a transaction, which no position has to pass.
        behind = {partition: records for partition, records in left.items() if next(records, None) is not None}
        if not behind or time.monotonic() > deadline:
            return [Waiting(number, positions[number], 1 + sum(1 for _ in rest)) for number, rest in behind.items()]
        time.sleep(POSITIONS_LOOK_S)
