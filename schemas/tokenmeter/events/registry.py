"""Schema ids from a Confluent-compatible registry instead of the bundled ones, for those who run one.

The bundled ids stay the wire ids: a registry is asked to hold the same schema under the same id, and a disagreement is
fatal, because two meanings of one id would decode other customers' figures.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from tokenmeter.events.contract import TOPICS, Topic, versions
from tokenmeter.events.errors import Misconfigured


class RegistryClient(Protocol):
    """The call used of ``confluent_kafka.schema_registry.SchemaRegistryClient``."""

    def register_schema(self, subject_name: str, schema: Any) -> int: ...


def client(url: str) -> RegistryClient:
    """confluent-kafka's own client; Misconfigured if its extra is not installed."""
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient
    except ImportError as error:
        raise Misconfigured(
            f"a schema registry is set ({url}) but its client is not installed: {error}",
            hint='pip install "tokenmeter[registry]"',
        ) from error
    registry: RegistryClient = SchemaRegistryClient.new_client({"url": url})
    return registry


def subjects(topic: Topic) -> list[tuple[str, str]]:
    """(subject, record) of a topic: ``TOPIC-value``, or ``TOPIC-RECORD`` where a topic carries several records.

    What travels on several topics is registered for the first of them: one schema has one id.
    """
    before = TOPICS[: TOPICS.index(topic)] if topic in TOPICS else ()
    if any(set(topic.schemas) <= set(one.schemas) for one in before):
        return []
    if len(topic.schemas) == 1:
        return [(f"{topic.name}-value", topic.schemas[0])]
    return [(f"{topic.name}-{name}", name) for name in topic.schemas]


def register_all(registry: RegistryClient) -> dict[str, int]:
    """Register every bundled version under its ``subjects``, lowest id first; returns the ids by subject.

    Raises Misconfigured when the registry gives a schema another id than the bundled one, or does not answer.
    """
    from confluent_kafka.schema_registry import Schema as RegistrySchema

    wanted = [(subject, schema) for topic in TOPICS for subject, name in subjects(topic) for schema in versions(name)]
    ids: dict[str, int] = {}
    for subject, schema in sorted(wanted, key=lambda pair: pair[1].id):
        try:
            registered = registry.register_schema(subject, RegistrySchema(json.dumps(schema.document), "AVRO"))
        except Exception as error:  # the client raises its own error, or that of whatever carries its requests
            raise Misconfigured(
                f"the schema registry does not take {subject} v{schema.version}: {error}",
                hint="check TOKENMETER_REGISTRY_URL, or unset it to use the bundled ids alone",
            ) from error
        if registered != schema.id:
            raise Misconfigured(
                f"registry subject {subject} v{schema.version} has id {registered}, tokenmeter writes {schema.id}",
                hint="register the bundled schemas in an empty registry first, or unset TOKENMETER_REGISTRY_URL",
            )
        ids[subject] = registered
    return ids
