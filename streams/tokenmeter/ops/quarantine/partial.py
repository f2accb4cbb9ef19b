"""Reads a damaged event field by field, up to the damage. Pure; for a person's eyes, never for counting."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from fastavro import parse_schema, schemaless_reader

from tokenmeter.events import wire
from tokenmeter.events.contract import Schema, latest
from tokenmeter.events.errors import Poison


@dataclass(frozen=True)
class Field:
    """One field that could be read: its value and the bytes [begin, end) it stands in."""

    name: str
    value: Any
    begin: int
    end: int


@dataclass(frozen=True)
class Partial:
    """``fields`` up to the damage; ``damage`` is None for a value that can be read to its end.

    ``guessed``: the value names no event schema of ours, so it was read as the newest version.
    """

    schema: Schema
    guessed: bool
    fields: tuple[Field, ...]
    damage: str | None


def read_partially(value: bytes) -> Partial:
    """What ``value`` says as far as it can be read. Never raises for a bad value."""
    guessed, why = False, None
    try:
        schema = wire.schema_of(value)
        if schema.name != "usage_event":
            guessed, why = True, f"it says it is a {schema.name}"
    except Poison as poison:
        guessed, why = True, poison.detail
    if guessed:
        schema = latest("usage_event")
    fields: list[Field] = []
    body = io.BytesIO(value)
    at = body.seek(min(wire.PREFIX_BYTES, len(value)))
    for field in schema.document["fields"]:
        try:
            read = schemaless_reader(body, parse_schema({"type": "record", "name": "One", "fields": [field]}), None)
        except Exception as error:  # fastavro raises many kinds on damaged bytes
            damage = f"field {field['name']} at byte {at}: {type(error).__name__}: {error}".rstrip(": ")
            return Partial(schema, guessed, tuple(fields), damage)
        end = body.tell()
        assert isinstance(read, dict)
        fields.append(Field(field["name"], read[field["name"]], at, end))
        at = end
    left = len(value) - at
    return Partial(schema, guessed, tuple(fields), f"{left} bytes are left over at byte {at}" if left else why)
