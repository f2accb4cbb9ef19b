"""Which log this is: the cluster's id, and of each topic the id that Kafka gave it and how many partitions it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.growth import Growth

IDENTITY_WAIT_S = 20.0


@dataclass(frozen=True)
class TopicIdentity:
    """A topic that is deleted and made anew has another id; offsets of the one mean nothing in the other."""

    topic_id: str
    partitions: int


@dataclass(frozen=True)
class LogIdentity:
    """A cluster and those of its topics that somebody reads."""

    cluster_id: str
    topics: Mapping[str, TopicIdentity] = field(default_factory=dict)

    def grown(self, found: Sequence[Growth]) -> LogIdentity:
        """The same log after these growths of usage.events, as far as they lead on from what it is."""
        topics = dict(self.topics)
        for one in found:
            had = topics.get(EVENTS)
            if had is not None and had.partitions == one.partitions_before:
                topics[EVENTS] = TopicIdentity(had.topic_id, one.partitions)
        return LogIdentity(self.cluster_id, topics)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @staticmethod
    def from_json(text: str) -> LogIdentity:
        """Raises ValueError, KeyError or TypeError when it is none."""
        made = json.loads(text)
        topics = {name: TopicIdentity(**one) for name, one in made["topics"].items()}
        return LogIdentity(made["cluster_id"], topics)


def identity(client: Mapping[str, Any], topics: Iterable[str]) -> LogIdentity:
    """As Kafka tells it now; a topic that is not there is left out. Raises Fatal when Kafka does not answer."""
    with _answering():
        admin = AdminClient({**SILENT, **client, "log_level": 2})
        cluster = admin.list_topics(timeout=IDENTITY_WAIT_S)
        return LogIdentity(str(cluster.cluster_id), _described(admin, [one for one in topics if one in cluster.topics]))


def topic_ids(client: Mapping[str, Any], topics: Sequence[str]) -> dict[str, str]:
    """By topic, the id Kafka gave it. Raises Fatal when Kafka does not answer, or lacks one of them."""
    with _answering():
        found = _described(AdminClient({**SILENT, **client, "log_level": 2}), topics)
    return {topic: one.topic_id for topic, one in found.items()}


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise Fatal(f"cannot read the ids of the topics: {error.args[0].str()}", hint="tokenmeter status") from error


def _described(admin: AdminClient, topics: Sequence[str]) -> dict[str, TopicIdentity]:
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=IDENTITY_WAIT_S) if topics else {}
    found = {topic: future.result(IDENTITY_WAIT_S) for topic, future in asked.items()}
    return {topic: TopicIdentity(str(one.topic_id), len(one.partitions)) for topic, one in found.items()}


def changes(known: LogIdentity, there: LogIdentity) -> Iterator[str]:
    """What is not as it was, each as the end of a sentence; topics that were not known are no change."""
    for topic, before in known.topics.items():
        now = there.topics.get(topic)
        if now is None:
            yield f"{topic} is gone"
        elif now.topic_id != before.topic_id:
            yield f"{topic} was deleted and made anew" + (
                "" if known.cluster_id == there.cluster_id else f", in another cluster ({there.cluster_id})"
            )
        elif now.partitions != before.partitions:
            yield f"{topic} has {now.partitions} partitions and had {before.partitions}: customers have moved"
