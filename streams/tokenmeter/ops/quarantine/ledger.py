"""What lies in quarantine: usage.quarantine read to its very end and folded by position.

The end is the high watermark, not the last stable offset: behind a page that a meter has open there may be releases
that are committed already, and a retry that does not see them would send their events a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from confluent_kafka import KafkaException

from tokenmeter.events import wire
from tokenmeter.events.contract import QUARANTINE, RELEASED
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.kafka.logreader import KafkaLogReader

READ_RECORDS_MAX = 10_000
STALL_S = 120.0
"""Longer than the broker lets a meter's transaction stay open."""
KAFKA_PARTITION = "kafka_partition"
"""Column with the partition of usage.quarantine a record was read from; ``partition`` is that of usage.events."""
POSITION = ["partition", "offset"]


@dataclass(frozen=True)
class Ledger:
    """Every quarantined position without its bytes (``bytes`` is their number), and the positions released."""

    quarantined: pl.DataFrame
    released: pl.DataFrame

    @property
    def open(self) -> pl.DataFrame:
        """What was quarantined and not released since."""
        return self.quarantined.join(self.released.select(POSITION), on=POSITION, how="anti", maintain_order="left")


def ledger(client: Mapping[str, Any]) -> Ledger:
    """Read the whole topic. Raises Fatal when it cannot be read to its end."""
    frames = [
        records.with_columns(pl.col("value").bin.size().cast(pl.Int64).alias("bytes")).drop("value")
        for records in read(client)
    ]
    found = pl.concat(frames) if frames else _empty()
    is_release = pl.col("reason") == RELEASED
    quarantined = found.filter(~is_release).unique(POSITION, keep="first", maintain_order=True)
    return Ledger(quarantined, found.filter(is_release).unique(POSITION, keep="first", maintain_order=True))


def _empty() -> pl.DataFrame:
    frame = decode([], "quarantined_event").frame.drop(INDEX, "value")
    return frame.with_columns(pl.lit(0, pl.Int32).alias(KAFKA_PARTITION), pl.lit(0, pl.Int64).alias("bytes")).clear()


def read(client: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    """Every record that is there now, with KAFKA_PARTITION, in frames of at most READ_RECORDS_MAX rows."""
    log = KafkaLogReader(client, STALL_S, READ_RECORDS_MAX)
    try:
        for partition in range(log.partitions(QUARANTINE)):
            start, end = log.start(QUARANTINE, partition), log.end(QUARANTINE, partition)
            for batch in log.read(QUARANTINE, partition, start, end):
                if len(batch):
                    yield _decoded(list(batch.values), partition)
    except KafkaException as error:
        raise Fatal(f"cannot read {QUARANTINE}: {error.args[0].str()}", hint="tokenmeter status") from error


def _decoded(values: list[Any], partition: int) -> pl.DataFrame:
    decoded = decode(values, "quarantined_event")
    for bad in decoded.rejected:  # a stranger's is the loader's to put aside
        if wire.is_newer(values[bad.index]):
            raise Fatal(
                f"{QUARANTINE}/{partition}: written by a newer tokenmeter: {bad.detail}", hint="upgrade this one first"
            )
    return decoded.frame.drop(INDEX).with_columns(pl.lit(partition, pl.Int32).alias(KAFKA_PARTITION))
