"""Creates the topics of the contract and checks the ones that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS, GROWTH, TOPICS
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.growth import Growth
from tokenmeter.events.registry import client as registry_client
from tokenmeter.events.registry import register_all
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.kafka import REPLICATION_MAX, min_insync

ADMIN_TIMEOUT_S = 30.0
LOOK_S = 0.2


def ensure_topics(client: Mapping[str, Any], partitions: int, replication: int | None = None) -> list[str]:
    """Create what is missing, verify what is there; returns the created names.

    Unless told otherwise a topic has a copy on each broker, REPLICATION_MAX at most.
    Raises Misconfigured naming the topic, the setting, what it is and what it must be.
    """
    admin = AdminClient({**SILENT, **client, "log_level": 2})
    try:
        cluster = admin.list_topics(timeout=ADMIN_TIMEOUT_S)
    except KafkaException as error:
        servers = client.get("bootstrap.servers")
        raise Fatal(f"Kafka at {servers} does not answer: {error.args[0].str()}", hint="tokenmeter status") from error
    existing = cluster.topics
    copies = replication or min(len(cluster.brokers), REPLICATION_MAX)
    count = len(existing[EVENTS].partitions) if EVENTS in existing else partitions
    missing = [topic for topic in TOPICS if topic.name not in existing]
    new = [NewTopic(t.name, count if t.like_events else 1, copies, config=_safe(t.config(), copies)) for t in missing]
    created = _create(admin, new) if new else []
    grown = _grown(client) if GROWTH in existing else []
    counts = {count, *(one.partitions_before for one in grown), *(one.partitions for one in grown)}
    for topic in TOPICS:
        wanted_count = count if topic.like_events else 1
        allowed = counts if topic.like_events and topic.name != EVENTS else {wanted_count}
        if topic.name in existing and len(existing[topic.name].partitions) not in allowed:
            raise Misconfigured(
                f"topic {topic.name} has {len(existing[topic.name].partitions)} partitions and must have "
                f"{wanted_count}: {f'as many as {EVENTS}, or' if topic.like_events else 'or'} records would not meet",
                hint=f"recreate the topic with {wanted_count} partitions",
            )
    wanted = {t.name: _safe(t.needed(), _copies(existing[t.name])) for t in TOPICS if t.name in existing}
    _verify_settings(admin, wanted)
    return created


def _create(admin: AdminClient, topics: list[NewTopic]) -> list[str]:
    """The names of those that were made here: another, who looked at the same moment, may have made some."""
    created = []
    for name, future in admin.create_topics(topics, operation_timeout=ADMIN_TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Fatal(f"cannot create topic {name}: {error.args[0].str()}") from error
        else:
            created.append(name)
    return created


def _grown(client: Mapping[str, Any]) -> list[Growth]:
    """Where usage.events has grown, the topics that are keyed by customer or model alone keep what they had."""
    read = retry(
        retry=retry_if_exception_type(Fatal),  # a topic that was just created is not everywhere yet
        stop=stop_after_delay(ADMIN_TIMEOUT_S),
        wait=wait_fixed(LOOK_S),
        reraise=True,
    )(read_growths)
    return read(KafkaLogReader(client))


def register_schemas(url: str | None) -> int:
    """Make sure that the registry, if one is set, gives our schemas the ids we write; returns how many it holds."""
    return 0 if url is None else len(register_all(registry_client(url)))


def _copies(topic: Any) -> int:
    return min(len(partition.replicas) for partition in topic.partitions.values())


def _safe(settings: Mapping[str, str], replication: int) -> dict[str, str]:
    """With several copies an event is acknowledged only when all but one of them have it."""
    return {**settings, "min.insync.replicas": str(min_insync(replication))}


def _verify_settings(admin: AdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    if not resources:
        return
    for resource, future in admin.describe_configs(resources).items():
        actual = {name: entry.value for name, entry in future.result(ADMIN_TIMEOUT_S).items()}
        for name, value in wanted[resource.name].items():
            if actual.get(name) != value:
                raise Misconfigured(
                    f"topic {resource.name} has {name}={actual.get(name)}, tokenmeter needs {value}",
                    hint=f"kafka-configs --alter --topic {resource.name} --add-config {name}={value}",
                )
