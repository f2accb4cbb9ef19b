"""Encodes a frame of lines to Avro values, column by column.

Lines are the meter's own output, tens of thousands a page; fastavro takes 15 us for each, this a few hundred
nanoseconds. What polars must do is asked of it in two calls: a page of two hundred lines has as many columns as one of
two hundred thousand. A contract test holds every value against ``tokenmeter.events.wire``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.errors import Fatal
from tokenmeter.events.varint import varint
from tokenmeter.flow.columns.avro_pieces import Rows, decimals

_ABSENT, _PRESENT = b"\x00", b"\x02"
"""The branches of ["null", X]."""
_WORD = 2**64
_HIGH, _LOW, _THERE = "high.", "low.", "there."
_PLANS_CACHED_MAX = 64


@dataclass(frozen=True)
class _Column:
    """One field that the frame has: the form of its values, and whether they may be null."""

    name: str
    form: str
    nullable: bool


def _form(kind: Any, dtype: pl.DataType, name: str) -> str:
    base = kind["type"] if isinstance(kind, dict) else kind
    if base in ("int", "long", "string", "enum", "boolean"):
        return str(base)
    if base == "bytes" and kind.get("logicalType") == "decimal":
        return "decimal"
    if base == "array" and dtype == pl.Binary:
        return "encoded"
    raise Fatal(f"column {name}: the columnar encoder has no form for Avro type {kind!r}")


def _asked(column: _Column, kind: Any) -> Iterator[pl.Expr]:
    """What of a column is asked of polars, in numbers that numpy takes."""
    value = pl.col(column.name)
    if column.nullable:
        yield value.is_not_null().alias(_THERE + column.name)
    match column.form:
        case "int" | "long":
            yield value.to_physical().cast(pl.Int64).fill_null(0)
        case "enum":
            symbols = {symbol: number for number, symbol in enumerate(kind["symbols"])}
            yield value.replace_strict(symbols, return_dtype=pl.Int64).fill_null(0)
        case "boolean":
            yield -value.cast(pl.Int64).fill_null(0)  # its byte is that of the long -1
        case "string":
            yield value.str.len_bytes().cast(pl.Int64).fill_null(0)
        case "decimal":
            number = value.to_physical().cast(pl.Int128).fill_null(0)
            word = pl.lit(_WORD, pl.Int128)
            high = number // word  # rounds down, so the low word is never negative
            yield high.cast(pl.Int64).alias(_HIGH + column.name)
            yield (number - high * word).cast(pl.UInt64).alias(_LOW + column.name)


@lru_cache(_PLANS_CACHED_MAX)
def _plan(
    name: str, dtypes: tuple[tuple[str, pl.DataType], ...], same: tuple[str, ...]
) -> tuple[list[_Column | bytes | str], list[pl.Expr]]:
    """The fields of a record in their order, each a column, the bytes that every row has or the name of what all have
    the ``same``, and what is asked."""
    there = dict(dtypes)
    fields: list[_Column | bytes | str] = []
    asked: list[pl.Expr] = []
    for field in latest(name).document["fields"]:
        kind, nullable = field["type"], isinstance(field["type"], list)
        inner = kind[1] if nullable else kind
        dtype = there.get(field["name"])
        if field["name"] in same:
            fields.append(field["name"])
        elif dtype is not None and dtype != pl.Null:
            column = _Column(field["name"], _form(inner, dtype, field["name"]), nullable)
            fields.append(column)
            asked += _asked(column, inner)
        elif nullable:
            fields.append(_ABSENT)
        elif dtype is None and "default" in field:
            default = wire.default_bytes(name, field["name"])
            fields.append(default)
        else:
            raise Fatal(f"{name}.{field['name']}: a value is missing in a field that cannot be null")
    return fields, asked


def encode(name: str, frame: pl.DataFrame, **same: int) -> list[bytes]:
    """Wire values of ``frame``'s rows as records ``name``; every field of the schema is a column, is the ``same``
    number in all rows, or has its schema's default. A decimal's column is one, or holds the unscaled number; an
    array's holds the array's own Avro bytes."""
    if not frame.height:
        return []  # a page of nothing but repeats has no lines, and its columns no types
    schema = latest(name)
    names = frozenset(schema.field_names)
    known = tuple((column, dtype) for column, dtype in frame.schema.items() if column in names)
    fields, asked = _plan(name, known, tuple(same))
    numbers = frame.select_seq(asked)
    texts = [field.name for field in fields if isinstance(field, _Column) and field.form == "string"]
    joined = frame.select_seq(pl.col(texts).fill_null("").str.join("")).row(0, named=True) if texts else {}
    rows = Rows(frame.height)
    rows.add_same(wire.prefix(schema))
    for field in fields:
        if isinstance(field, bytes):
            rows.add_same(field)
        elif isinstance(field, str):
            rows.add_same(varint(same[field]))
        else:
            _add(rows, field, frame, numbers, joined, name)
    return rows.values()


def _add(
    rows: Rows, column: _Column, frame: pl.DataFrame, numbers: pl.DataFrame, joined: dict[str, Any], name: str
) -> None:
    nulls = frame.get_column(column.name).null_count()
    present = None
    if nulls and not column.nullable:
        raise Fatal(f"{name}.{column.name}: a value is missing in a field that cannot be null")
    if nulls == rows.rows:
        rows.add_same(_ABSENT)
        return
    if nulls:
        present = numbers.get_column(_THERE + column.name).to_numpy()
        rows.add_numbers(present.astype(np.int64))  # the branch of the union is a long, too
    elif column.nullable:
        rows.add_same(_PRESENT)

    def of(of_name: str) -> Any:
        return numbers.get_column(of_name).to_numpy()

    match column.form:
        case "string":
            rows.add_numbers(of(column.name), present)
            rows.add_bytes(of(column.name), np.frombuffer(joined[column.name].encode(), np.uint8))
        case "decimal":
            sizes, data = decimals(of(_HIGH + column.name), of(_LOW + column.name))
            if present is not None:  # what stands for a null is one byte of nothing
                data = data[np.repeat(present, sizes)]
                sizes = np.where(present, sizes, 0)
            rows.add_numbers(sizes, present)
            rows.add_bytes(sizes, data)
        case "encoded":
            encoded = frame.get_column(column.name).fill_null(b"").to_list()
            lengths = np.fromiter(map(len, encoded), np.int64, rows.rows)
            rows.add_bytes(lengths, np.frombuffer(b"".join(encoded), np.uint8))
        case _:
            rows.add_numbers(of(column.name), present)
