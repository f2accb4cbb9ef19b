"""Evolution: each version of a record reads every other, by the rules and by reading real bytes."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from support.compatibility import cannot_read, incompatible
from support.events import event
from tokenmeter.events.contract import SCHEMA_NAMES, latest, versions


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The usage event as a made-up next version."""
    document = copy.deepcopy(latest("usage_event").document)
    change(document)
    return document


def field(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(f for f in document["fields"] if f["name"] == name)


def reads(writer: dict[str, Any], reader: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Write ``record`` with one schema and read it with the other."""
    buffer = io.BytesIO()
    schemaless_writer(buffer, parse_schema(copy.deepcopy(writer)), record)
    buffer.seek(0)
    found = schemaless_reader(buffer, parse_schema(copy.deepcopy(writer)), parse_schema(copy.deepcopy(reader)))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_pair_of_versions_reads_each_other(name: str) -> None:
    for one, other in permutations(versions(name), 2):
        assert incompatible(one.document, other.document) == []
    assert incompatible(latest(name).document, latest(name).document) == []


def test_a_field_with_a_default_may_come_and_go() -> None:
    grown = changed(lambda d: d["fields"].append({"name": "added", "type": ["null", "string"], "default": None}))
    old = latest("usage_event").document
    assert incompatible(old, grown) == []
    record = event(1).to_record()
    assert reads(old, grown, record)["added"] is None
    assert "added" not in reads(grown, old, {**record, "added": "x"})
    assert reads(grown, old, {**record, "added": "x"})["event_id"] == record["event_id"]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a new field without a default", lambda d: d["fields"].append({"name": "added", "type": "string"})),
        ("a field without a default removed", lambda d: d["fields"].remove(field(d, "customer_id"))),
        ("another type", lambda d: field(d, "input_tokens").update(type="string")),
        ("another unit", lambda d: field(d, "occurred_at")["type"].update(logicalType="timestamp-millis")),
        ("another scale", lambda d: field(d, "reported_cost")["type"][1].update(scale=6)),
        ("a narrower number", lambda d: field(d, "input_tokens").update(type="int")),
    ],
)
def test_what_would_lose_or_misread_a_figure_is_found(what: str, change: Callable[[dict[str, Any]], object]) -> None:
    assert incompatible(latest("usage_event").document, changed(change)) != [], what


def test_the_direction_matters() -> None:
    old, grown = latest("usage_event").document, changed(lambda d: d["fields"].append({"name": "x", "type": "string"}))
    assert cannot_read(old, grown) == []
    assert cannot_read(grown, old) == ["x: new, and without a default"]
