"""What lies in quarantine: usage.quarantine read to its very end and folded by position.

The end is the high watermark, not the last stable offset: behind a page that a meter has open there may be releases
that are committed already, and a retry that does not see them would send their events a second time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tokenmeter.events.contract import QUARANTINE, RELEASED
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.decode import INDEX, decode

READ_RECORDS_MAX = 10_000
KAFKA_TIMEOUT_S = 30.0
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
    consumer = Consumer(
        {
            **client,
            "group.id": "tokenmeter-quarantine",  # the client wants one; nothing is ever committed to it
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 2,
        }
    )
    try:
        found = consumer.list_topics(QUARANTINE, KAFKA_TIMEOUT_S).topics[QUARANTINE]
        if found.error is not None:
            raise Fatal(f"topic {QUARANTINE}: {found.error.str()}", hint="tokenmeter topics")
        for partition, (low, high) in _ends(client, sorted(found.partitions)).items():
            yield from _read(consumer, partition, low, high)
    except KafkaException as error:
        raise Fatal(f"cannot read {QUARANTINE}: {error.args[0].str()}", hint="tokenmeter status") from error
    finally:
        consumer.close()


def _ends(client: Mapping[str, Any], partitions: list[int]) -> dict[int, tuple[int, int]]:
    """(low, high) watermarks by partition; a read_committed reader would be told the last stable offset instead."""
    settings = {**client, "group.id": "tokenmeter-quarantine", "isolation.level": "read_uncommitted", "log_level": 2}
    consumer = Consumer(settings)
    try:
        return {p: consumer.get_watermark_offsets(TopicPartition(QUARANTINE, p), KAFKA_TIMEOUT_S) for p in partitions}
    finally:
        consumer.close()


def _read(consumer: Consumer, partition: int, low: int, high: int) -> Iterator[pl.DataFrame]:
    if low >= high:
        return
    consumer.assign([TopicPartition(QUARANTINE, partition, low)])
    position, heard_at = low, time.monotonic()
    while position < high:
        messages = consumer.consume(READ_RECORDS_MAX, 0.2)
        values = []
        for message in messages:
            error, offset = message.error(), int(message.offset() or 0)
            if error is None:
                values.append(message.value())
                position = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                position = max(position, offset)
            else:
                raise KafkaException(error)
        if messages:
            heard_at = time.monotonic()
        if values:
            yield _decoded(values, partition)
        if time.monotonic() - heard_at > STALL_S:
            raise Fatal(
                f"{QUARANTINE}/{partition} stands still at offset {position} of {high}: a transaction is open",
                hint="run the command again",
            )


def _decoded(values: list[Any], partition: int) -> pl.DataFrame:
    decoded = decode(values, "quarantined_event")
    if decoded.rejected:
        bad = decoded.rejected[0]
        raise Fatal(f"{QUARANTINE}/{partition}: a record is not a quarantined event ({bad.reason}: {bad.detail})")
    return decoded.frame.drop(INDEX).with_columns(pl.lit(partition, pl.Int32).alias(KAFKA_PARTITION))
