"""A schema registry, by confluent-kafka's own in-memory one: same ids, or one clear error."""

from __future__ import annotations

from typing import Any

import pytest

from tokenmeter.events.contract import TOPICS, versions
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.registry import client, register_all, subjects

# The registry client's own dependency warns on import.
pytestmark = pytest.mark.filterwarnings("ignore:The httpx module is deprecated")


def test_an_empty_registry_takes_every_schema_under_its_bundled_id_and_twice_changes_nothing() -> None:
    registry = client("mock://empty")
    expected = {subject: versions(name)[-1].id for topic in TOPICS for subject, name in subjects(topic)}
    assert register_all(registry) == expected
    assert register_all(registry) == expected


def test_a_registry_with_other_ids_is_refused_by_subject_and_id() -> None:
    from confluent_kafka.schema_registry import Schema

    registry = client("mock://used")
    registry.register_schema("somebody-else", Schema('{"type": "string"}', "AVRO"))
    with pytest.raises(Misconfigured, match=r"usage.events-value v1 has id 2, tokenmeter writes 1"):
        register_all(registry)


def test_a_registry_that_does_not_answer_is_one_error_with_the_next_step() -> None:
    class Silent:
        def register_schema(self, subject_name: str, schema: Any) -> int:
            raise ConnectionError("refused")

    with pytest.raises(Misconfigured, match="TOKENMETER_REGISTRY_URL"):
        register_all(Silent())
