"""The contract: what is written can be read, models and schemas agree, and every rule names its violation."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from support.events import NOW, NOW_MS, event, value
from tokenmeter.events import Poison, UsageEvent, accept, wire
from tokenmeter.events.catalog import ROWS
from tokenmeter.events.contract import SCHEMA_NAMES, latest, versions
from tokenmeter.events.growth import Growth
from tokenmeter.events.ledger import AccountState, Alert, LedgerEntry
from tokenmeter.events.watch import WatchRows, WatchState

MODELS = {
    "usage_event": UsageEvent,
    "ledger_entry": LedgerEntry,
    "account_state": AccountState,
    "alert": Alert,
    "watch_state": WatchState,
    "watch_rows": WatchRows,
    "partition_growth": Growth,
    **ROWS,
}
FORBIDDEN_WORDS = ("prompt", "completion_text", "message", "content", "email", "ip_address", "address", "phone")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_exactly_its_schema_s_fields_and_nulls(name: str) -> None:
    fields = {field["name"]: field["type"] for field in latest(name).document["fields"]}
    model = MODELS[name].model_fields
    assert set(model) == set(fields)
    nullable = {n for n, kind in fields.items() if isinstance(kind, list)}
    assert nullable == {n for n, info in model.items() if type(None) in get_args(info.annotation)}


def lint(document: dict[str, Any]) -> list[str]:
    """What the fast decoder cannot read, and what must never be collected."""
    faults = []
    text = json.dumps(document)
    names: list[str] = []
    for field in document["fields"]:
        kind = field["type"]
        if isinstance(kind, list):
            faults += [f"{field['name']}: union"] if len(kind) != 2 or kind[0] != "null" else []
            kind = kind[1]
            faults += [f"{field['name']}: nullable enum"] if isinstance(kind, dict) and kind["type"] == "enum" else []
        if isinstance(kind, dict) and "name" in kind:
            names.append(kind["name"])
        faults += [f"{field['name']}: forbidden" for word in FORBIDDEN_WORDS if word in field["name"]]
    faults += ["map"] if '"map"' in text else []
    faults += ["a named type is used twice"] if len(set(names)) != len(names) else []
    return faults


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_keep_to_what_every_decoder_reads_and_may_hold(name: str) -> None:
    for schema in versions(name):
        assert lint(schema.document) == []


def test_the_lint_finds_what_it_is_for() -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["A"]}
    fields = [{"name": "prompt", "type": "string"}, {"name": "e", "type": ["null", enum]}]
    fields += [{"name": "f", "type": enum}, {"name": "m", "type": {"type": "map", "values": "long"}}]
    found = lint({"fields": fields})
    assert {"prompt: forbidden", "e: nullable enum", "map", "a named type is used twice"} <= set(found)


def test_an_event_survives_the_wire() -> None:
    for number in range(50):
        assert UsageEvent.from_record(wire.decode(value(number)).record) == event(number)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (None, "empty"),
        (b"\x00\x00", "truncated"),
        (b"\x01" + value()[1:], "magic"),
        (b"\x00\x00\x00\x03\xe7" + value()[5:], "schema"),
        (value()[:-4], "truncated"),
        (value() + b"\x00", "avro"),
    ],
)
def test_a_damaged_value_is_poison_with_its_reason(damaged: bytes | None, reason: str) -> None:
    with pytest.raises(Poison) as caught:
        wire.decode(damaged, expect="usage_event")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"input_tokens": -1, "cached_input_tokens": 0}, "negative"),
        ({"input_tokens": 10, "cached_input_tokens": 6, "cache_write_tokens": 5}, "breakdown"),
        ({"output_tokens": 10, "reasoning_tokens": 11}, "breakdown"),
        ({"kind": "CORRECTION"}, "correction"),
        ({"corrects": "another"}, "correction"),
    ],
)
def test_an_event_that_breaks_a_rule_cannot_be_made(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        event(1, **fields)


def test_a_correction_may_be_negative() -> None:
    assert event(1, kind="CORRECTION", corrects="x", input_tokens=-5, cached_input_tokens=0).input_tokens == -5


def test_the_accepted_time_range_ends_exactly_where_it_says() -> None:
    for offset, reason in [
        (timedelta(days=-35), None),
        (timedelta(days=-35, microseconds=-1), "late"),
        (timedelta(minutes=5), None),
        (timedelta(minutes=5, microseconds=1), "early"),
    ]:
        record = event(1, occurred_at=NOW + offset).to_record()
        assert accept.reason_against(record, NOW_MS * 1000) == reason
