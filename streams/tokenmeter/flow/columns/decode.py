"""Columnar decode: the values of a batch become one Avro block, read by polars in one go.

Promises: a damaged value never changes a neighbour's row. Every row of a block proves that it began where a value began
(``block.py``). Values of several schema versions become one block a version. When a proof fails the values are halved
until the damaged ones stand alone, and those are judged one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import Schema, latest, versions
from tokenmeter.events.errors import Poison
from tokenmeter.flow.columns import block
from tokenmeter.flow.columns.block import Format, format_of
from tokenmeter.kafka.packed import PackedValues

SINGLE_VALUES_MAX = 16
"""Below this many values they are decoded one by one: a smaller block is not worth its header."""


@dataclass(frozen=True)
class Rejected:
    """A value that is not an event: its place in the batch, and why."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True)
class DecodedBatch:
    """``frame`` has one row per readable value, in order; ``index`` gives each row's place in the batch."""

    frame: pl.DataFrame
    rejected: list[Rejected]


INDEX = "_index"
"""Column with each row's place in the batch."""


def decode(values: Sequence[bytes | None], name: str = "usage_event") -> DecodedBatch:
    """Decode records ``name`` into every field of its latest version, and INDEX. Never raises for a bad value."""
    newest = format_of(latest(name))
    frame = _whole(values, newest) if len(values) > SINGLE_VALUES_MAX else None
    if frame is not None:
        return DecodedBatch(_indexed(frame, np.arange(len(values))), [])
    if isinstance(values, PackedValues):
        values = values.unpacked()
    rejected: list[Rejected] = []
    frames: list[pl.DataFrame] = []
    groups = list(_by_version(values, name))
    for fmt, places in groups:
        tried = fmt is newest and len(places) == len(values)
        frames += _halve([values[place] for place in places.tolist()], places, name, fmt, rejected, tried)
    rejected.sort(key=lambda bad: bad.index)
    if not frames:
        return DecodedBatch(_single([], name), rejected)
    frame = pl.concat(frames, how="vertical")
    return DecodedBatch(frame.sort(INDEX) if len(groups) > 1 else frame, rejected)


Places = npt.NDArray[np.intp]


def _indexed(frame: pl.DataFrame, places: Places) -> pl.DataFrame:
    return frame.with_columns_seq(pl.Series(INDEX, places, pl.Int64))


def _by_version(values: Sequence[bytes | None], name: str) -> Iterator[tuple[Format | None, Places]]:
    """Where the values of each version stand, newest first; last, without a format, those of none.

    Old and new writers alternate while an upgrade rolls out: one block a version, however finely they are mixed.
    """
    prefixes = pl.Series([value[: wire.PREFIX_BYTES] if value else b"" for value in values], dtype=pl.Binary)
    rest = np.ones(len(values), bool)
    for schema in reversed(versions(name)):
        of_version = (prefixes == pl.Series([wire.prefix(schema)], dtype=pl.Binary)).to_numpy()
        rest &= ~of_version
        if of_version.any():
            yield format_of(schema), np.flatnonzero(of_version)
    if rest.any():
        yield None, np.flatnonzero(rest)


def _halve(
    values: Sequence[bytes | None],
    places: Places,
    name: str,
    fmt: Format | None,
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


def _whole(values: Sequence[bytes | None], fmt: Format) -> pl.DataFrame | None:
    """All values of a batch as one block; packed values as they lie on the log, and if that fails one by one."""
    if not isinstance(values, PackedValues):
        return _block(values, fmt)
    packed = format_of(fmt.schema, packed=True)
    frame = block.read([part.records for part in values.parts], [part.count for part in values.parts], packed)
    return _normalise(frame, packed) if frame is not None else _block(values.unpacked(), fmt)


def _block(values: Sequence[bytes | None], fmt: Format) -> pl.DataFrame | None:
    """All values as one block of one schema version, or None when any proof fails."""
    frame = block.read(values, [len(values)], fmt)
    return None if frame is None else _normalise(frame, fmt)


@cache
def _dtypes(schema: Schema) -> dict[str, pl.DataType]:
    """Column types as the block decoder gives them, read from a block of nothing but its sentinel."""
    nothing = block.read([], [0], format_of(schema))
    assert nothing is not None, f"polars reads no {schema.name} of this version"
    return dict(nothing.select_seq(schema.field_names).schema)


def _normalise(frame: pl.DataFrame, fmt: Format) -> pl.DataFrame:
    """The latest version's columns in order."""
    newest = latest(fmt.schema.name)
    dtypes = _dtypes(newest)
    defaults = {f["name"]: f.get("default") for f in newest.document["fields"]}
    missing = [
        pl.lit(defaults[column], dtype=dtype).alias(column)
        for column, dtype in dtypes.items()
        if column not in frame.columns
    ]
    return frame.with_columns_seq(*missing).select_seq(list(dtypes))


def _single(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    """Rows decoded one by one, with the types the block decoder gives."""
    return pl.DataFrame(rows, schema={**_dtypes(latest(name)), INDEX: pl.Int64()}, orient="row")
