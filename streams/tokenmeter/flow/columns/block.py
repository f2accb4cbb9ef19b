"""One Avro block of many records, and the proof that each was read from where it began.

The block ends with a sentinel record, and each row carries the wire prefix its value began with. Values are either laid
one after the other, or are still inside the Kafka records that carried them, whose own fields are then read beside the
event's and must be what the log says: offsets without a gap, no attributes, no headers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import Schema
from tokenmeter.events.varint import varint

PREFIX, ATTRIBUTES, OFFSET, HEADERS = "_prefix", "_attributes", "_offset", "_headers"
SENTINEL_TEXT = "\x00sentinel"
SENTINEL_NUMBER = -7_777_777
SYNC = b"tokenmeter-block"
_BEFORE = (("_length", "long"), (ATTRIBUTES, "long"), ("_at", "long"), (OFFSET, "long"), ("_key", "bytes"))
"""What a Kafka record says before its value; the value's length follows."""


@dataclass(frozen=True)
class Format:
    """How to read values of one schema version; ``proof`` is what the sentinel must read as, column by column."""

    schema: Schema
    packed: bool
    header: bytes
    prefix: bytes
    sentinel: bytes
    proof: dict[str, bytes | int]
    strings: tuple[str, ...]

    @property
    def framing(self) -> list[str]:
        """The columns that are no fields of the event."""
        return [PREFIX, *(name for name, _ in _BEFORE), "_value_length", HEADERS] if self.packed else [PREFIX]


@cache
def format_of(schema: Schema, packed: bool = False) -> Format:
    """The container header and sentinel for one schema version; ``packed``: inside Kafka records."""
    document = schema.document
    record = {field["name"]: _sentinel_value(field["type"]) for field in document["fields"]}
    proof: dict[str, bytes | int] = {}
    for field in document["fields"]:
        value = record[field["name"]]
        if _base(field["type"]) == "string":
            proof[field["name"]] = value.encode()
        elif isinstance(value, int):
            proof[field["name"]] = value
    ends = list(proof)[:1] + list(proof)[-1:]
    sentinel = wire.encode_as(schema, record)
    return Format(
        schema,
        packed,
        header(schema, [*_framed(packed), (PREFIX, _PREFIX_KIND)], [(HEADERS, "long")] if packed else []),
        wire.prefix(schema),
        _as_kafka_record(sentinel) if packed else sentinel,
        {name: proof[name] for name in ends},
        tuple(field["name"] for field in document["fields"] if _is_text(field["type"])),
    )


_PREFIX_KIND = {"type": "fixed", "name": PREFIX, "size": wire.PREFIX_BYTES}


def _framed(packed: bool) -> list[tuple[str, Any]]:
    return [*_BEFORE, ("_value_length", "long")] if packed else []


def header(schema: Schema, before: Iterable[tuple[str, Any]] = (), after: Iterable[tuple[str, Any]] = ()) -> bytes:
    """The head of an object container file whose records have further fields before and after the event's."""
    # polars refuses a header with defaults, which the data does not need, and wraps an int that is too large.
    own = [(field["name"], _as_read(field["type"])) for field in schema.document["fields"]]
    fields = [{"name": name, "type": kind} for name, kind in (*before, *own, *after)]
    text = json.dumps({**schema.document, "fields": fields}).encode()
    head = b"Obj\x01" + varint(2)
    for key, value in ((b"avro.schema", text), (b"avro.codec", b"null")):
        head += varint(len(key)) + key + varint(len(value)) + value
    return head + varint(0) + SYNC


def _as_kafka_record(value: bytes) -> bytes:
    body = b"\x00" + varint(0) + varint(SENTINEL_NUMBER) + varint(0) + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def _as_read(kind: Any) -> Any:
    """The type a field is read as: its bytes on the wire are the same.

    An int as a long, so that the accept rule sees the true number. A string as bytes: UTF-8 is checked when the whole
    column is cast, which costs 0.1 us an event where checking each value while reading costs 0.3.
    """
    if isinstance(kind, list):
        return [_as_read(branch) for branch in kind]
    if isinstance(kind, dict) and kind["type"] == "array":
        return {**kind, "items": _as_read(kind["items"])}
    return {"int": "long", "string": "bytes"}.get(kind, kind) if isinstance(kind, str) else kind


def _base(kind: Any) -> str:
    """The Avro type's name without its wrapping."""
    if isinstance(kind, list):
        return "null"
    name: str = kind["type"] if isinstance(kind, dict) else kind
    return name


def _is_text(kind: Any) -> bool:
    """Whether a field is a string, a nullable one or an array of them."""
    inner = kind[1] if isinstance(kind, list) else kind["items"] if _base(kind) == "array" else kind
    return bool(inner == "string")


def _sentinel_value(kind: Any) -> Any:
    """A value of ``kind`` that no honest record has, or the plainest one where there is none."""
    if isinstance(kind, dict) and "logicalType" in kind:
        return Decimal(0) if kind["logicalType"] == "decimal" else datetime.fromtimestamp(0, UTC)
    match _base(kind):
        case "string":
            return SENTINEL_TEXT
        case "int" | "long":
            return SENTINEL_NUMBER
        case "boolean":
            return False
        case "bytes":
            return SENTINEL_TEXT.encode()
        case "enum":
            return kind["symbols"][0]
        case "array":
            return []
        case _:
            return None


def read(parts: Sequence[bytes | None], counts: list[int], fmt: Format) -> pl.DataFrame | None:
    """The event's columns of all records in ``parts``, or None when any proof fails. ``counts``: how many records each
    producer batch has, where they are packed; else how many there are."""
    rows = sum(counts)
    try:
        size = sum(map(len, parts)) + len(fmt.sentinel)  # type: ignore[arg-type]  # None raises TypeError: poison
        head = fmt.header + varint(rows + 1) + varint(size)
        block = b"".join((head, *parts, fmt.sentinel, SYNC))  # type: ignore[arg-type]
        frame = pl.read_avro(io.BytesIO(block))
    except (Exception, pl.exceptions.PanicException):
        # Damaged bytes surface as any of a dozen kinds of error; each means "not this way", and the values are
        # then judged one by one with their own reasons.
        return None
    if frame.height != rows + 1:
        return None
    if any(frame.get_column(name)[-1] != value for name, value in fmt.proof.items()):
        return None
    if not _begins(frame, counts, fmt):
        return None
    try:
        return _as_text(frame.drop(fmt.framing)[:-1], fmt)
    except pl.exceptions.ComputeError:  # some string is not UTF-8
        return None


def _begins(frame: pl.DataFrame, counts: list[int], fmt: Format) -> bool:
    """Whether each row began where a value begins. The Kafka records around packed values must be plain ones, at each
    offset one."""
    proofs = [pl.col(PREFIX) == pl.lit(fmt.prefix)]
    if fmt.packed:
        proofs += [pl.col(ATTRIBUTES) == 0, pl.col(HEADERS) == 0]
    if not frame.select_seq(pl.all_horizontal(proof.all() for proof in proofs)).item():
        return False
    if not fmt.packed:
        return True
    offsets = np.concatenate([*map(np.arange, counts), [SENTINEL_NUMBER]])
    return np.array_equal(frame.get_column(OFFSET).to_numpy(), offsets)


def _as_text(frame: pl.DataFrame, fmt: Format) -> pl.DataFrame:
    """Strings as strings, and enums too: categories of two blocks do not compare. ComputeError if one is not UTF-8."""
    texts = [pl.col(n).cast(pl.List(pl.String) if frame[n].dtype == pl.List else pl.String) for n in fmt.strings]
    return frame.with_columns_seq(*texts, pl.col(pl.Categorical, pl.Enum).cast(pl.String))
