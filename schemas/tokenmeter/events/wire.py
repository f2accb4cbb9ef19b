"""The Confluent wire format: a zero byte, the schema's id in four bytes, then the Avro record.

``encode`` and ``decode`` handle one record; the meter's columnar decoder lives in ``tokenmeter.flow``.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from tokenmeter.events.contract import SCHEMA_IDS_MAX, Schema, by_id, latest
from tokenmeter.events.errors import Poison
from tokenmeter.events.repair import with_known_branches

MAGIC = 0
PREFIX_BYTES = 5
_PREFIX = struct.Struct(">bI")


@dataclass(frozen=True)
class Decoded:
    """A record as a dict, and the schema it was written with."""

    schema: Schema
    record: dict[str, Any]


def prefix(schema: Schema) -> bytes:
    """The five bytes that open every value written with ``schema``."""
    return _PREFIX.pack(MAGIC, schema.id)


def encode(name: str, record: Mapping[str, Any]) -> bytes:
    """One record in the latest version of ``name``.

    Raises Poison(``unencodable``) naming the field or value the schema does not allow.
    """
    return encode_as(latest(name), record)


def encode_as(schema: Schema, record: Mapping[str, Any]) -> bytes:
    """One record in the given version; see ``encode``."""
    name = schema.name
    unknown = set(record) - set(schema.field_names)
    if unknown:
        raise Poison("unencodable", f"{name} has no field {', '.join(sorted(unknown))}")
    out = io.BytesIO()
    out.write(prefix(schema))
    try:
        schemaless_writer(out, schema.parsed, record, strict_allow_default=True)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Poison("unencodable", f"{name}: {error}") from error
    return out.getvalue()


@cache
def default_bytes(name: str, field: str) -> bytes:
    """The default of a field of the latest version of ``name``, as it stands in a record."""
    found = next(one for one in latest(name).document["fields"] if one["name"] == field)
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(found["type"]), found["default"])
    return out.getvalue()


def schema_of(value: bytes | None) -> Schema:
    """The schema a value says it was written with; Poison if it does not say, or names one nobody knows."""
    if value is None:
        raise Poison("empty", "the record has no value")
    if len(value) < PREFIX_BYTES:
        raise Poison("truncated", f"{len(value)} bytes; the wire prefix alone has {PREFIX_BYTES}")
    magic, schema_id = _PREFIX.unpack_from(value)
    if magic != MAGIC:
        raise Poison("magic", f"first byte is {value[0]:#04x}, not 0x00: not the Confluent wire format")
    schema = by_id(schema_id)
    if schema is None:
        raise Poison("schema", f"schema id {schema_id} is not known")
    return schema


def is_newer(value: bytes | None) -> bool:
    """Whether a later tokenmeter may have written this: then it is no stranger's, and must not be passed over."""
    if value is None or len(value) < PREFIX_BYTES:
        return False
    magic, schema_id = _PREFIX.unpack_from(value)
    return bool(magic == MAGIC and 0 < schema_id <= SCHEMA_IDS_MAX and by_id(schema_id) is None)


def decode(value: bytes | None, *, expect: str | None = None) -> Decoded:
    """One record. Every byte must be used: trailing bytes are damage, not slack.

    Raises Poison with reason ``empty``, ``truncated``, ``magic``, ``schema`` or ``avro``.
    """
    schema = schema_of(value)
    assert value is not None
    if expect is not None and schema.name != expect:
        raise Poison("schema", f"schema id {schema.id} is {schema.name}, not {expect}")
    try:
        record = _read(value, schema)
    except Poison:
        # fastavro refuses a branch beyond ["null", X], or counts a negative one from the end. The columnar decoder
        # reads every such branch as X and cannot tell; a value must mean the same beside any neighbour.
        repaired = _repaired(value, schema)
        if repaired is None or repaired == value:
            raise
        record = _read(repaired, schema)
    newest = latest(schema.name)
    return Decoded(schema, record if schema == newest else _as_version(record, newest))


def _repaired(value: bytes, schema: Schema) -> bytes | None:
    try:
        return with_known_branches(value, schema)
    except EOFError:
        return None


def _read(value: bytes, schema: Schema) -> dict[str, Any]:
    """Decode with fastavro; Poison unless the value is one whole record and nothing else."""
    body = io.BytesIO(value)
    body.seek(PREFIX_BYTES)
    try:
        record = schemaless_reader(body, schema.parsed, None)
    except EOFError as error:
        raise Poison("truncated", f"{schema.name} ends early: {len(value)} bytes") from error
    except Exception as error:  # fastavro raises many kinds on damaged bytes; each is the value's own fault
        raise Poison("avro", f"{schema.name}: {type(error).__name__}: {error}") from error
    if body.tell() != len(value):
        raise Poison("avro", f"{schema.name}: {len(value) - body.tell()} bytes are left over")
    if not isinstance(record, dict):
        raise Poison("avro", f"{schema.name}: not a record")
    return record


def _as_version(record: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Another version's record with the fields of ``schema``, in its order: two writers' equal calls read equal."""
    defaults = _defaults(schema)
    return {name: record[name] if name in record else defaults[name] for name in schema.field_names}


@cache
def _defaults(schema: Schema) -> dict[str, Any]:
    """What a record of another version means in the fields it does not have."""
    return {field["name"]: field["default"] for field in schema.document["fields"] if "default" in field}
