"""Records on a topic of ours that are none of ours: put aside with their bytes and where they are, never in the way.

The meter quarantines what is no event on usage.events. On every other topic it loads, the loader finds what a stranger
wrote or what is damaged, and keeps it in a table of its own; whoever else reads the topic passes it over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.columns.decode import Rejected
from tokenmeter.kafka.batch import RecordBatch

log = logging.getLogger(__name__)

TABLE = "foreign_records"


def require_no_newer(topic: str, partition: int, batch: RecordBatch, rejected: Sequence[Rejected], table: str) -> None:
    """Raises Fatal when a later tokenmeter wrote one of them: it is ours, and to pass it over would lose it."""
    for bad in rejected:
        if wire.is_newer(batch.values[bad.index]):
            raise Fatal(
                f"{topic}/{partition}: offset {batch.offsets()[bad.index]} was written by a newer tokenmeter "
                f"({bad.detail}), so {table} would lack it",
                hint="upgrade this one first",
            )


def rows(topic: str, partition: int, batch: RecordBatch, rejected: Sequence[Rejected]) -> pl.DataFrame:
    """A row of TABLE for each; repeating it makes the same rows."""
    offsets, stamps = batch.offsets(), batch.appended_at_ms()
    for bad in rejected:
        log.error("%s/%d: put aside the record at offset %d: %s", topic, partition, offsets[bad.index], bad.reason)
    places = [bad.index for bad in rejected]
    return pl.DataFrame(
        {
            "topic": pl.Series([topic] * len(places), dtype=pl.String),
            "partition": pl.Series([partition] * len(places), dtype=pl.Int32),
            "offset": pl.Series(offsets[places], dtype=pl.Int64),
            "appended_at": pl.Series(stamps[places], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")),
            "reason": pl.Series([bad.reason for bad in rejected], dtype=pl.String),
            "detail": pl.Series([bad.detail for bad in rejected], dtype=pl.String),
            "value": pl.Series([batch.values[place] or b"" for place in places], dtype=pl.Binary),
        }
    )


def refused(
    topic: str, partition: int, batches: Sequence[tuple[RecordBatch, npt.NDArray[np.int64]]], told: Mapping[int, str]
) -> Iterator[pl.DataFrame]:
    """Rows of TABLE for records of ours whose values ClickHouse refuses: ``told`` has why by row, of all the rows of
    ``batches``, each with the place of its rows."""
    first = 0
    for batch, places in batches:
        ours = {int(places[row - first]): why for row, why in told.items() if first <= row < first + len(places)}
        if ours:
            yield rows(topic, partition, batch, [Rejected(place, "refused", why) for place, why in ours.items()])
        first += len(places)
