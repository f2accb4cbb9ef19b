"""How far a consumer group has come, and the wait until it is past something."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tokenmeter.kafka.group import asking

POSITIONS_WAIT_S = 30.0
"""A broker that has just started, or lost its leader, does not know its groups for a while."""
POSITIONS_LOOK_S = 0.2

Place = tuple[str, int]
"""(topic, partition)"""


@dataclass(frozen=True)
class Behind:
    """A group that will read offset ``at`` of ``place`` next, and has not come to ``end``."""

    place: Place
    at: int
    end: int


def positions(client: Mapping[str, Any], group: str, places: Iterable[Place]) -> dict[Place, int]:
    """The next offset that ``group`` will read of each, 0 where it has none yet. Raises KafkaException when Kafka does
    not say."""
    with asking(client, group) as consumer:
        return {place: _position(consumer, place) for place in places}


def wait_past(
    client: Mapping[str, Any],
    group: str,
    ends: Mapping[Place, int],
    within_s: float,
    look_s: float = POSITIONS_LOOK_S,
) -> Behind | None:
    """Wait until ``group`` has read up to ``ends`` (each the offset after the last record that matters), looking every
    ``look_s``; the first place at which it has not in time, or None."""
    deadline = time.monotonic() + within_s
    with asking(client, group) as consumer:
        for place, end in ends.items():
            while (at := _position(consumer, place)) < end:
                if time.monotonic() > deadline:
                    return Behind(place, at, end)
                time.sleep(look_s)
    return None


def _position(consumer: Consumer, place: Place) -> int:
    # One by one: a busy group commits so often that all partitions at once are hardly ever at rest.
    deadline = time.monotonic() + POSITIONS_WAIT_S
    while True:
        try:
            return max(0, int(consumer.committed([TopicPartition(*place)], POSITIONS_WAIT_S)[0].offset))
        except KafkaException:
            if time.monotonic() > deadline:
                raise
        time.sleep(POSITIONS_LOOK_S)
