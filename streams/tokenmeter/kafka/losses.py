"""What retention removed before an app had read it: counted in the app's own commits, so it outlives every restart.

The count travels as the metadata of the committed offset, in the page's transaction: position and loss never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka.group import QUIET, asking

_PREFIX = "lost="
KAFKA_TIMEOUT_S = 20.0


def written(lost: int) -> str:
    """A count of lost offsets as commit metadata."""
    return f"{_PREFIX}{lost}" if lost else ""


def read(metadata: str | None) -> int:
    """The count in commit metadata; 0 where there is none."""
    text = (metadata or "").removeprefix(_PREFIX)
    return int(text) if text.isdecimal() else 0


def lost_offsets(client: Mapping[str, Any], group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """By (topic, partition): the offsets that retention removed before ``group`` had read them; only those above 0.

    Raises Fatal when Kafka does not answer.
    """
    # What is being committed just now can wait: asked for the stable positions of all partitions at once, a busy group
    # hardly ever has them.
    try:
        with asking(client, group, {**QUIET, "isolation.level": "read_uncommitted"}) as consumer:
            there = consumer.list_topics(timeout=KAFKA_TIMEOUT_S).topics
            asked = [TopicPartition(t, number) for t in topics if t in there for number in there[t].partitions]
            committed = consumer.committed(asked, KAFKA_TIMEOUT_S)
    except KafkaException as error:
        raise Fatal(
            f"cannot read what {group} has committed: {error.args[0].str()}", hint="tokenmeter status"
        ) from error
    return {(at.topic, at.partition): lost for at in committed if (lost := read(at.metadata))}
