"""Meters that do one thing wrongly, so that a check shows it would notice."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.varint import varint
from tokenmeter.flow.columns.block import SYNC, _as_text, format_of, header
from tokenmeter.flow.columns.decode import INDEX
from tokenmeter.flow.meter import MeterProcessor
from tokenmeter.flow.meter.fold import Fold
from tokenmeter.kafka.batch import RecordBatch


class SkippingFold(Fold):
    def put_aside(self, *args: Any, **kwargs: Any) -> None:
        return


class SkipBad(MeterProcessor):
    """Leaves out what it cannot use and says nothing."""

    _folding = SkippingFold


class BlindFold(Fold):
    def decoded(self, batch: RecordBatch) -> tuple[pl.DataFrame, Any, list[Any]]:
        schema = latest("usage_event")
        bodies = [(value or b"")[wire.PREFIX_BYTES :] for value in batch.values]
        block = header(schema) + varint(len(bodies)) + varint(sum(map(len, bodies))) + b"".join(bodies) + SYNC
        try:
            frame = _as_text(pl.read_avro(io.BytesIO(block)), format_of(schema))
        except (Exception, pl.exceptions.PanicException):
            return super().decoded(batch)
        if frame.height != len(bodies):
            return super().decoded(batch)
        frame = frame.with_columns(pl.Series(INDEX, np.arange(len(bodies)), pl.Int64))
        return frame, batch.appended_at_ms(), []


class BlindDecode(MeterProcessor):
    """Believes whatever the block reader says: no sentinel, no prefixes."""

    _folding = BlindFold


METERS: dict[str, type[MeterProcessor]] = {"skip_bad": SkipBad, "blind_decode": BlindDecode}
