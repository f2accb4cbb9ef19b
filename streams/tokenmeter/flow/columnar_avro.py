"""Encodes a frame of lines to Avro values, column by column.

Lines are the meter's own output, tens of thousands a page; fastavro takes 15 us for each, this a few hundred
nanoseconds. A contract test holds every value against ``tokenmeter.events.wire``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.errors import Fatal

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
VARINT_BYTES_MAX = 10
_WORD = pl.Series([2**64], dtype=pl.Int128)


class _Rows:
    """The output being laid out: pieces of every row, one column after the other."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.pieces: list[tuple[I64, U8]] = []

    def add(self, lengths: I64, data: U8) -> None:
        """``data`` holds each row's bytes one after the other, ``lengths`` how many each row has."""
        self.pieces.append((lengths, data))

    def values(self) -> list[bytes]:
        lengths = np.sum([piece for piece, _ in self.pieces], axis=0, dtype=np.int64)
        ends = np.cumsum(lengths)
        at = ends - lengths
        out = np.empty(int(ends[-1]) if self.rows else 0, np.uint8)
        for piece, data in self.pieces:
            out[_spread(at, piece)] = data
            at = at + piece
        text = out.tobytes()
        begins = (ends - lengths).tolist()
        return [text[begin:end] for begin, end in zip(begins, ends.tolist(), strict=True)]


def _spread(starts: I64, lengths: I64) -> I64:
    """For each row the positions starts, starts + 1, … (lengths of them), all rows in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    positions: I64 = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
    return positions


def _varints(numbers: I64) -> tuple[I64, U8]:
    """Zigzag varints: (bytes of each, all bytes)."""
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    lengths = np.ones(len(numbers), np.int64)
    for size in range(1, VARINT_BYTES_MAX):
        more = zigzag >= np.uint64(1) << np.uint64(7 * size)
        if not more.any():
            break
        lengths += more
    begins = np.cumsum(lengths) - lengths
    data = np.empty(int(lengths.sum()), np.uint8)
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        part = (zigzag[rows] >> np.uint64(7 * place)) & np.uint64(0x7F)
        last = lengths[rows] == place + 1
        data[begins[rows] + place] = part | np.where(last, np.uint64(0), np.uint64(0x80))
    return lengths, data


def _strings(column: pl.Series) -> tuple[I64, U8]:
    """Length-prefixed UTF-8 of a column without nulls: (bytes of each, all bytes)."""
    sizes = column.str.len_bytes().to_numpy().astype(np.int64)
    text = np.frombuffer(column.str.join("").item().encode() if len(column) else b"", np.uint8)
    prefix_lengths, prefix = _varints(sizes)
    lengths = prefix_lengths + sizes
    begins = np.cumsum(lengths) - lengths
    data = np.empty(int(lengths.sum()), np.uint8)
    data[_spread(begins, prefix_lengths)] = prefix
    data[_spread(begins + prefix_lengths, sizes)] = text
    return lengths, data


def _decimals(column: pl.Series) -> tuple[I64, U8]:
    """Decimals, or their unscaled 128-bit numbers: length-prefixed big-endian two's complement.

    As long as the magnitude and a sign bit need: the record encoder gives -128 two bytes, and so does this.
    """
    numbers = column.to_physical().cast(pl.Int128)
    magnitude = _words(numbers.abs())
    idle = (magnitude[:, :-1] == 0) & (magnitude[:, 1:] < 0x80)
    sizes = 16 - np.logical_and.accumulate(idle, axis=1).sum(axis=1, dtype=np.int64)
    text = _words(numbers)[np.arange(16) >= (16 - sizes)[:, None]]
    lengths = sizes + 1
    data = np.empty(int(lengths.sum()), np.uint8)
    begins = np.cumsum(lengths) - lengths
    data[begins] = (sizes << 1).astype(np.uint8)  # the varint of at most 16
    data[_spread(begins + 1, sizes)] = text
    return lengths, data


def _words(numbers: pl.Series) -> U8:
    """Each 128-bit number as a row of 16 bytes, the highest first."""
    high = (numbers // _WORD).cast(pl.Int64).to_numpy()  # rounds down, so the low word is never negative
    low = (numbers % _WORD).cast(pl.UInt64).to_numpy()
    both = np.stack([high.view(np.uint64), low], axis=1)
    return both.byteswap().view(np.uint8).reshape(len(numbers), 16)


def _encoded(column: pl.Series) -> tuple[I64, U8]:
    """Values that are their own Avro bytes already."""
    values = column.to_list()
    return np.fromiter(map(len, values), np.int64, len(values)), np.frombuffer(b"".join(values), np.uint8)


def _plain(column: pl.Series, kind: Any, name: str) -> tuple[I64, U8]:
    base = kind["type"] if isinstance(kind, dict) else kind
    if base in ("int", "long"):
        return _varints(column.to_physical().cast(pl.Int64).to_numpy())
    if base == "string":
        return _strings(column)
    if base == "enum":
        symbols = {symbol: number for number, symbol in enumerate(kind["symbols"])}
        return _varints(column.replace_strict(symbols, return_dtype=pl.Int64).to_numpy())
    if base == "boolean":
        return np.ones(len(column), np.int64), column.to_numpy().astype(np.uint8)
    if base == "bytes" and kind.get("logicalType") == "decimal":
        return _decimals(column)
    if base == "enum":
        symbols = {symbol: number for number, symbol in enumerate(kind["symbols"])}
        return _varints(column.replace_strict(symbols, return_dtype=pl.Int64).to_numpy())
    if base == "array" and column.dtype == pl.Binary:
        return _encoded(column)
    raise Fatal(f"column {name}: the columnar encoder has no form for Avro type {kind!r}")


def encode(name: str, frame: pl.DataFrame) -> list[bytes]:
    """Wire values of ``frame``'s rows as records ``name``; every field of the schema is a column, or has its
    schema's default in all of them. A decimal's column is one, or holds the unscaled number; an array's holds the
    array's own Avro bytes."""
    if not frame.height:
        return []  # a page of nothing but repeats has no lines, and its columns no types
    schema = latest(name)
    rows = _Rows(frame.height)
    prefix = np.frombuffer(wire.prefix(schema), np.uint8)
    rows.add(np.full(frame.height, len(prefix)), np.tile(prefix, frame.height))
    for field in schema.document["fields"]:
        kind = field["type"]
        column = frame.get_column(field["name"]) if field["name"] in frame.columns else None
        if column is None and field.get("default") is not None:
            column = pl.repeat(field["default"], frame.height, eager=True)
        if not isinstance(kind, list):
            if column is None or column.null_count():
                raise Fatal(f"{name}.{field['name']}: a value is missing in a field that cannot be null")
            rows.add(*_plain(column, kind, field["name"]))
            continue
        present = np.zeros(frame.height, bool) if column is None else column.is_not_null().to_numpy()
        rows.add(np.ones(frame.height, np.int64), np.where(present, 2, 0).astype(np.uint8))
        if column is not None and present.any():
            lengths, data = _plain(column.drop_nulls(), kind[1], field["name"])
            all_lengths = np.zeros(frame.height, np.int64)
            all_lengths[present] = lengths
            rows.add(all_lengths, data)
    return rows.values()
