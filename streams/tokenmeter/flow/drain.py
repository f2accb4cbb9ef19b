"""Empty one aiokafka fetch into a record batch, without an object per event.

This does what aiokafka's ``PartitionRecords._unpack_records`` does (CRC check, aborted transactions, control batches)
and touches the private attributes named in ``PRIVATE``; tests/contract guards each of them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException

from tokenmeter.flow.batch import RecordBatch, Run

CREATE_TIME = 0
"""The records of such a batch are stamped by their producer, each for itself."""
BATCH_EVENTS_MAX = 50_000
"""A batch ends with the producer batch that reaches this many records."""
BATCH_BYTES_MAX = 16 << 20
"""A batch ends with the producer batch that reaches this many bytes of values."""

PRIVATE: dict[str, tuple[str, ...]] = {
    "aiokafka.consumer.fetcher:FetchResult": ("check_assignment", "has_more", "_update_position"),
    "aiokafka.consumer.fetcher:PartitionRecords": ("_consume_aborted_up_to", "_contains_abort_marker"),
}
PRIVATE_INSTANCE: dict[str, tuple[str, ...]] = {
    "aiokafka.consumer.fetcher:FetchResult": ("_partition_records",),
    "aiokafka.consumer.fetcher:PartitionRecords": (
        "_records",
        "_check_crcs",
        "_isolation_level",
        "_aborted_producers",
        "_records_iterator",
        "next_fetch_offset",
    ),
}


def drain(
    fetched: Any,
    topic_partition: Any,
    *,
    events_max: int = BATCH_EVENTS_MAX,
    bytes_max: int = BATCH_BYTES_MAX,
) -> RecordBatch | None:
    """Take whole producer batches out of ``fetched`` until a limit is reached; None when nothing is to be had.

    Raises aiokafka's CorruptRecordException where a checksum does not match.
    """
    if not fetched.check_assignment(topic_partition) or not fetched.has_more():
        return None
    records = fetched._partition_records
    # Its generator refers back to it. Never exhausted here, the pair would keep the fetched bytes until the collector
    # comes by, which in a tuned process is hardly ever: 117 bytes an event for good.
    records._records_iterator = None
    memory = records._records
    start_offset: int = records.next_fetch_offset
    values: list[bytes | None] = []
    runs: list[Run] = []
    size = 0
    full = False
    while memory.has_next():
        if len(values) >= events_max or size >= bytes_max:
            full = True
            break
        batch = memory.next_batch()
        if records._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {topic_partition}")
        if not _is_readable(records, batch):
            records.next_fetch_offset = batch.next_offset
            continue
        size += _append(batch, records.next_fetch_offset, values, runs)
        records.next_fetch_offset = batch.next_offset
    next_offset: int = records.next_fetch_offset
    fetched._update_position()
    if not full:
        fetched._partition_records = None
    if next_offset == start_offset:
        return None
    return RecordBatch(topic_partition.topic, topic_partition.partition, start_offset, next_offset, values, runs, size)


def _is_readable(records: Any, batch: Any) -> bool:
    """Whether a producer batch holds records a reader of this isolation level may see."""
    if records._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        records._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and records._contains_abort_marker(batch):
            records._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in records._aborted_producers:
            return False
    return not batch.is_control_batch


def _append(batch: Any, from_offset: int, values: list[bytes | None], runs: list[Run]) -> int:
    """Append one producer batch's values and runs; returns the bytes added."""
    records = list(batch)
    if batch.base_offset < from_offset:
        records = [record for record in records if record.offset >= from_offset]
    if not records:
        return 0
    taken = [record.value for record in records]
    values.extend(taken)
    # In a batch stamped LogAppendTime, as usage.events is, the largest timestamp is that of every record.
    appended_at_ms: int = batch.max_timestamp or 0
    first_offset = records[0].offset
    if batch.timestamp_type == CREATE_TIME and batch.first_timestamp != appended_at_ms:
        for (_, at_ms), same in groupby(enumerate(records), lambda one: (one[1].offset - one[0], one[1].timestamp)):
            members = [record for _, record in same]
            runs.append(Run(members[0].offset, len(members), at_ms))
    elif records[-1].offset - first_offset + 1 == len(records):
        runs.append(Run(first_offset, len(records), appended_at_ms))
    else:  # compaction took records out of the middle
        runs.extend(Run(record.offset, 1, appended_at_ms) for record in records)
    return sum(map(len, filter(None, taken)))
