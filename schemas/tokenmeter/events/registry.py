"""Schema ids from a Confluent-compatible registry instead of the bundled ones, for those who run one.

The bundled ids stay the wire ids: a registry is asked to hold the same schema under the same id, and a disagreement is
fatal, because two meanings of one id would decode other customers' figures.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from tokenmeter.events.contract import TOPICS, Schema, versions
from tokenmeter.events.errors import Misconfigured


class RegistryClient(Protocol):
    """The two calls used of ``confluent_kafka.schema_registry.SchemaRegistryClient``."""

    def register_schema(self, subject_name: str, schema: Any) -> int: ...

    def get_latest_version(self, subject_name: str) -> Any: ...


def client(url: str) -> RegistryClient:
    """confluent-kafka's own client; Misconfigured if its extra is not installed."""
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient
    except ImportError as error:
        raise Misconfigured(
            f"a schema registry is set ({url}) but its client is not installed: {error}",
            hint='pip install "confluent-kafka[schemaregistry]"',
        ) from error
    registry: RegistryClient = SchemaRegistryClient({"url": url})
    return registry


def register_all(registry: RegistryClient, make_schema: Any = None) -> dict[str, int]:
    """Register every bundled version under ``TOPIC-value``; returns the registry's id per subject.

    Raises Misconfigured when the registry gives a schema another id than the bundled one.
    """
    if make_schema is None:
        from confluent_kafka.schema_registry import Schema as RegistrySchema

        def make_schema(schema: Schema) -> Any:
            return RegistrySchema(json.dumps(schema.document), "AVRO")

    ids: dict[str, int] = {}
    for topic in TOPICS:
        subject = f"{topic.name}-value"
        for schema in versions(topic.schema):
            registered = registry.register_schema(subject, make_schema(schema))
            if registered != schema.id:
                raise Misconfigured(
                    f"registry subject {subject} v{schema.version} has id {registered}, tokenmeter writes {schema.id}",
                    hint="register the bundled schemas in an empty registry first, or unset TOKENMETER_REGISTRY_URL",
                )
            ids[subject] = registered
    return ids
