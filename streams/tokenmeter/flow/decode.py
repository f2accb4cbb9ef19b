"""Columnar decode: the values of a batch become one Avro block, read by polars in one go.

Promises: a damaged value never changes a neighbour's row. The block ends with a sentinel record, and the five bytes of
each value's wire prefix are read as five fields, so every row proves that it began where a value began. When a proof
fails the values are halved until the damaged ones stand alone, and those are judged one by one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import polars as pl

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import Schema, latest, versions
from tokenmeter.events.errors import Poison

PREFIX = tuple(f"_prefix_{i}" for i in range(wire.PREFIX_BYTES))
SENTINEL_ID = "\x00sentinel"
SENTINEL_QUANTITY = -7_777_777_777
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


def _widened(kind: Any) -> Any:
    """An int read as a long: on the wire they are the same, and the accept rule sees the true number."""
    if isinstance(kind, list):
        return [_widened(branch) for branch in kind]
    return "long" if kind == "int" else kind


@dataclass(frozen=True)
class _Format:
    schema: Schema
    header: bytes
    prefix: tuple[int, ...]
    sentinel: bytes


@cache
def _format(schema: Schema) -> _Format:
    """The container header and sentinel for one schema version; Poison if polars cannot read its own trial block."""
    document = dict(schema.document)
    fields: list[dict[str, Any]] = [{"name": name, "type": "int"} for name in PREFIX]
    # polars refuses a header with defaults, which the data does not need, and wraps an int that is too large.
    fields += [{"name": field["name"], "type": _widened(field["type"])} for field in document["fields"]]
    text = json.dumps({**document, "fields": fields}).encode()
    header = b"Obj\x01" + _varint(2)
    for key, value in ((b"avro.schema", text), (b"avro.codec", b"null")):
        header += _varint(len(key)) + key + _varint(len(value)) + value
    header += _varint(0) + _SYNC
    sentinel = wire.encode_as(
        schema,
        {
            "event_id": SENTINEL_ID,
            "occurred_at": datetime.fromtimestamp(0, UTC),
            "customer_id": "",
            "model": "",
            "provider": "",
            "input_tokens": SENTINEL_QUANTITY,
        },
    )
    return _Format(schema, header, _as_ints(wire.prefix(schema)), sentinel)


def decode(values: Sequence[bytes | None], columns: Sequence[str]) -> Decoded:
    """Decode usage events, keeping ``columns`` (always with INDEX). Never raises for a bad value."""
    formats = [_format(schema) for schema in versions("usage_event")]
    rejected: list[Rejected] = []
    frames = list(_halve(values, 0, list(columns), formats[::-1], rejected))
    frame = pl.concat(frames, how="vertical") if frames else _single([], list(columns))
    return Decoded(frame, rejected)


def _halve(
    values: Sequence[bytes | None],
    offset: int,
    columns: list[str],
    formats: Sequence[_Format],
    rejected: list[Rejected],
) -> Any:
    """Yield frames for ``values`` in order; what cannot be read goes to ``rejected``."""
    if len(values) > SINGLE_VALUES_MAX:
        for fmt in formats:
            frame = _block(values, columns, fmt)
            if frame is not None:
                yield frame.with_columns(pl.int_range(offset, offset + len(values), dtype=pl.Int64).alias(INDEX))
                return
        middle = len(values) // 2
        yield from _halve(values[:middle], offset, columns, formats, rejected)
        yield from _halve(values[middle:], offset + middle, columns, formats, rejected)
        return
    rows = []
    for index, value in enumerate(values, offset):
        try:
            record = wire.decode(value, expect="usage_event").record
        except Poison as poison:
            rejected.append(Rejected(index, poison.reason, poison.detail))
            continue
        if accept.range_violation(accept.scalars(record)):
            rejected.append(Rejected(index, "range", accept.DETAILS["range"]))
        else:
            rows.append({**record, INDEX: index})
    if rows:
        yield _single(rows, columns)


def _block(values: Sequence[bytes | None], columns: list[str], fmt: _Format) -> pl.DataFrame | None:
    """All values as one block of one schema version, or None when any proof fails."""
    try:
        body = b"".join(values) + fmt.sentinel  # type: ignore[arg-type]  # None raises TypeError, and is poison
        count = len(values) + 1
        block = fmt.header + _varint(count) + _varint(len(body)) + body + _SYNC
        frame = pl.read_avro(io.BytesIO(block), columns=[*PREFIX, *_with_proof(columns)])
    except (Exception, pl.exceptions.PanicException):
        # Damaged bytes surface as any of a dozen kinds of error; each means "not this way", and the values are
        # then judged one by one with their own reasons.
        return None
    if frame.height != count:
        return None
    last = frame.row(-1, named=True)
    if last["event_id"] != SENTINEL_ID or last["input_tokens"] != SENTINEL_QUANTITY:
        return None
    begins = frame.select(
        pl.all_horizontal(*(pl.col(n) == v for n, v in zip(PREFIX, fmt.prefix, strict=True))).all()
    ).item()
    if not begins:
        return None
    return _normalise(frame[:-1].select(columns))


def _with_proof(columns: list[str]) -> list[str]:
    return list(dict.fromkeys(["event_id", "input_tokens", *columns]))


@cache
def _dtypes() -> dict[str, pl.DataType]:
    """Column types as the block decoder gives them, read from a block of nothing but its sentinel."""
    fmt = _format(latest("usage_event"))
    block = fmt.header + _varint(1) + _varint(len(fmt.sentinel)) + fmt.sentinel + _SYNC
    return dict(_normalise(pl.read_avro(io.BytesIO(block))).schema)


def _normalise(frame: pl.DataFrame) -> pl.DataFrame:
    """Enums become plain strings: categories of different blocks do not compare."""
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _single(rows: list[dict[str, Any]], columns: list[str]) -> pl.DataFrame:
    """Rows decoded one by one, with the types the block decoder gives."""
    schema = {name: _dtypes()[name] for name in columns}
    return pl.DataFrame(rows, schema={**schema, INDEX: pl.Int64()}, orient="row")
