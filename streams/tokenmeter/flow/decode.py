"""Columnar decode: the values of a batch become one Avro block, read by polars in one go.

Promises: a damaged value never changes a neighbour's row. The block ends with a sentinel record, and the five bytes of
each value's wire prefix are read as five fields, so every row proves that it began where a value began. Values of
several schema versions become one block a version. When a proof fails the values are halved until the damaged ones
stand alone, and those are judged one by one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import Schema, latest, versions
from tokenmeter.events.errors import Poison

PREFIX = tuple(f"_prefix_{i}" for i in range(wire.PREFIX_BYTES))
SENTINEL_TEXT = "\x00sentinel"
SENTINEL_NUMBER = -7_777_777
SINGLE_VALUES_MAX = 16
"""Below this many values they are decoded one by one: a smaller block is not worth its header."""
_SYNC = b"tokenmeter-block"


@dataclass(frozen=True)
class Rejected:
    """A value that is not an event: its place in the batch, and why."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Decoded:
    """``frame`` has one row per readable value, in order; ``index`` gives each row's place in the batch."""

    frame: pl.DataFrame
    rejected: list[Rejected]


INDEX = "_index"
"""Column with each row's place in the batch."""


def _varint(number: int) -> bytes:
    """An Avro long: zigzag, seven bits a byte, low ones first."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _as_ints(prefix: bytes) -> tuple[int, ...]:
    """What the prefix bytes read as when each is taken for an Avro int (ids stay below 128: one byte each)."""
    return tuple((byte >> 1) ^ -(byte & 1) for byte in prefix)


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


@dataclass(frozen=True)
class _Format:
    """How to read values of one schema version; ``proof`` is what the sentinel must read as, column by column."""

    schema: Schema
    header: bytes
    prefix: tuple[int, ...]
    sentinel: bytes
    proof: dict[str, bytes | int]
    strings: tuple[str, ...]


def _header(schema: Schema, prefix: tuple[str, ...]) -> bytes:
    """The head of an object container file whose records begin with the ints ``prefix``."""
    fields: list[dict[str, Any]] = [{"name": name, "type": "int"} for name in prefix]
    # polars refuses a header with defaults, which the data does not need, and wraps an int that is too large.
    fields += [{"name": field["name"], "type": _as_read(field["type"])} for field in schema.document["fields"]]
    text = json.dumps({**schema.document, "fields": fields}).encode()
    header = b"Obj\x01" + _varint(2)
    for key, value in ((b"avro.schema", text), (b"avro.codec", b"null")):
        header += _varint(len(key)) + key + _varint(len(value)) + value
    return header + _varint(0) + _SYNC


@cache
def _format(schema: Schema) -> _Format:
    """The container header and sentinel for one schema version; Poison if polars cannot read its own trial block."""
    document = schema.document
    header = _header(schema, PREFIX)
    record = {field["name"]: _sentinel_value(field["type"]) for field in document["fields"]}
    proof: dict[str, bytes | int] = {}
    for field in document["fields"]:
        value = record[field["name"]]
        if _base(field["type"]) == "string":
            proof[field["name"]] = value.encode()
        elif isinstance(value, int):
            proof[field["name"]] = value
    ends = list(proof)[:1] + list(proof)[-1:]
    return _Format(
        schema,
        header,
        _as_ints(wire.prefix(schema)),
        wire.encode_as(schema, record),
        {name: proof[name] for name in ends},
        tuple(field["name"] for field in document["fields"] if _is_text(field["type"])),
    )


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


def decode(values: Sequence[bytes | None], name: str = "usage_event") -> Decoded:
    """Decode records ``name`` into every field of its latest version, and INDEX. Never raises for a bad value."""
    newest = _format(latest(name))
    frame = _block(values, newest) if len(values) > SINGLE_VALUES_MAX else None
    if frame is not None:
        return Decoded(_indexed(frame, np.arange(len(values))), [])
    rejected: list[Rejected] = []
    frames: list[pl.DataFrame] = []
    groups = list(_by_version(values, name))
    for fmt, places in groups:
        tried = fmt is newest and len(places) == len(values)
        frames += _halve([values[place] for place in places.tolist()], places, name, fmt, rejected, tried)
    rejected.sort(key=lambda bad: bad.index)
    if not frames:
        return Decoded(_single([], name), rejected)
    frame = pl.concat(frames, how="vertical")
    return Decoded(frame.sort(INDEX) if len(groups) > 1 else frame, rejected)


Places = npt.NDArray[np.intp]


def _indexed(frame: pl.DataFrame, places: Places) -> pl.DataFrame:
    return frame.with_columns(pl.Series(INDEX, places, pl.Int64))


def _by_version(values: Sequence[bytes | None], name: str) -> Iterator[tuple[_Format | None, Places]]:
    """Where the values of each version stand, newest first; last, without a format, those of none.

    Old and new writers alternate while an upgrade rolls out: one block a version, however finely they are mixed.
    """
    prefixes = pl.Series([value[: wire.PREFIX_BYTES] if value else b"" for value in values], dtype=pl.Binary)
    rest = np.ones(len(values), bool)
    for schema in reversed(versions(name)):
        of_version = (prefixes == pl.Series([wire.prefix(schema)], dtype=pl.Binary)).to_numpy()
        rest &= ~of_version
        if of_version.any():
            yield _format(schema), np.flatnonzero(of_version)
    if rest.any():
        yield None, np.flatnonzero(rest)


def _halve(
    values: Sequence[bytes | None],
    places: Places,
    name: str,
    fmt: _Format | None,
    rejected: list[Rejected],
    tried: bool = False,
) -> Iterator[pl.DataFrame]:
    """Yield frames for ``values`` in order; what cannot be read goes to ``rejected``.

    ``tried``: all of them as one block have failed already. Without a format each is read for its own reason.
    """
    if fmt is not None and len(values) > SINGLE_VALUES_MAX:
        frame = None if tried else _block(values, fmt)
        if frame is not None:
            yield _indexed(frame, places)
            return
        middle = len(values) // 2
        yield from _halve(values[:middle], places[:middle], name, fmt, rejected)
        yield from _halve(values[middle:], places[middle:], name, fmt, rejected)
        return
    rows = []
    for place, value in zip(places.tolist(), values, strict=True):
        try:
            record = wire.decode(value, expect=name).record
        except Poison as poison:
            rejected.append(Rejected(place, poison.reason, poison.detail))
            continue
        if name == "usage_event" and accept.range_violation(accept.scalars(record)):
            rejected.append(Rejected(place, "range", accept.DETAILS["range"]))
        else:
            rows.append({**record, INDEX: place})
    if rows:
        yield _single(rows, name)


def _block(values: Sequence[bytes | None], fmt: _Format) -> pl.DataFrame | None:
    """All values as one block of one schema version, or None when any proof fails."""
    try:
        count = len(values) + 1
        size = sum(map(len, values)) + len(fmt.sentinel)  # type: ignore[arg-type]  # None raises TypeError: poison
        head = fmt.header + _varint(count) + _varint(size)
        block = b"".join((head, *values, fmt.sentinel, _SYNC))  # type: ignore[arg-type]
        frame = pl.read_avro(io.BytesIO(block))
    except (Exception, pl.exceptions.PanicException):
        # Damaged bytes surface as any of a dozen kinds of error; each means "not this way", and the values are
        # then judged one by one with their own reasons.
        return None
    if frame.height != count:
        return None
    if any(frame.get_column(name)[-1] != value for name, value in fmt.proof.items()):
        return None
    begins = frame.select(
        pl.all_horizontal(*(pl.col(n) == v for n, v in zip(PREFIX, fmt.prefix, strict=True))).all()
    ).item()
    if not begins:
        return None
    try:
        return _normalise(frame[:-1], fmt)
    except pl.exceptions.ComputeError:  # some string is not UTF-8
        return None


@cache
def _dtypes(schema: Schema) -> dict[str, pl.DataType]:
    """Column types as the block decoder gives them, read from a block of nothing but its sentinel."""
    fmt = _format(schema)
    block = fmt.header + _varint(1) + _varint(len(fmt.sentinel)) + fmt.sentinel + _SYNC
    read = pl.read_avro(io.BytesIO(block)).select(schema.field_names)
    return dict(_as_text(read, fmt).schema)


def _as_text(frame: pl.DataFrame, fmt: _Format) -> pl.DataFrame:
    """Strings as strings, and enums too: categories of two blocks do not compare. ComputeError if one is not UTF-8."""
    texts = [pl.col(n).cast(pl.List(pl.String) if frame[n].dtype == pl.List else pl.String) for n in fmt.strings]
    return frame.with_columns(*texts, pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _normalise(frame: pl.DataFrame, fmt: _Format) -> pl.DataFrame:
    """The latest version's columns in order."""
    newest = latest(fmt.schema.name)
    dtypes = _dtypes(newest)
    defaults = {f["name"]: f.get("default") for f in newest.document["fields"]}
    missing = [
        pl.lit(defaults[column], dtype=dtype).alias(column)
        for column, dtype in dtypes.items()
        if column not in frame.columns
    ]
    return _as_text(frame, fmt).with_columns(*missing).select(list(dtypes))


def _single(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    """Rows decoded one by one, with the types the block decoder gives."""
    return pl.DataFrame(rows, schema={**_dtypes(latest(name)), INDEX: pl.Int64()}, orient="row")
