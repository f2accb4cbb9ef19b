"""Creates the topics of the contract and checks the ones that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tokenmeter.events.contract import EVENTS, TOPICS
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.registry import client as registry_client
from tokenmeter.events.registry import register_all

ADMIN_TIMEOUT_S = 30.0


def ensure_topics(client: Mapping[str, Any], partitions: int, replication: int = 1) -> list[str]:
    """Create what is missing, verify what is there; returns the created names.

    Raises Misconfigured naming the topic, the setting, what it is and what it must be.
    """
    admin = AdminClient({**client, "log_level": 2})
    try:
        existing = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    except KafkaException as error:
        servers = client.get("bootstrap.servers")
        raise Fatal(f"Kafka at {servers} does not answer: {error.args[0].str()}", hint="tokenmeter status") from error
    count = len(existing[EVENTS].partitions) if EVENTS in existing else partitions
    missing = [topic for topic in TOPICS if topic.name not in existing]
    new = [NewTopic(topic.name, count, replication, config=topic.config()) for topic in missing]
    if new:
        for name, future in admin.create_topics(new, operation_timeout=ADMIN_TIMEOUT_S).items():
            try:
                future.result()
            except KafkaException as error:
                raise Fatal(f"cannot create topic {name}: {error.args[0].str()}") from error
    for topic in TOPICS:
        if topic.name in existing and len(existing[topic.name].partitions) != count:
            raise Misconfigured(
                f"topic {topic.name} has {len(existing[topic.name].partitions)} partitions, {EVENTS} has {count}: "
                "state and events would not meet",
                hint="recreate the topic with as many partitions",
            )
    _verify_settings(admin, [topic for topic in TOPICS if topic.name in existing])
    return [topic.name for topic in missing]


def register_schemas(url: str | None) -> int:
    """Make sure that the registry, if one is set, gives our schemas the ids we write; returns how many it holds."""
    return 0 if url is None else len(register_all(registry_client(url)))


def _verify_settings(admin: AdminClient, topics: list[Any]) -> None:
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
    if not resources:
        return
    wanted = {topic.name: topic.config() for topic in topics}
    for resource, future in admin.describe_configs(resources).items():
        actual = {name: entry.value for name, entry in future.result(ADMIN_TIMEOUT_S).items()}
        for name, value in wanted[resource.name].items():
            if actual.get(name) != value:
                raise Misconfigured(
                    f"topic {resource.name} has {name}={actual.get(name)}, tokenmeter needs {value}",
                    hint=f"kafka-configs --alter --topic {resource.name} --add-config {name}={value}",
                )
