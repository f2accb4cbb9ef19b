"""Empty one aiokafka fetch into a record batch, without an object per event where the log allows it.

This does what aiokafka's ``PartitionRecords._unpack_records`` does (CRC check, aborted transactions, control batches)
and touches the private attributes named in ``PRIVATE``; tests/contract guards each of them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import _MemoryRecordsPy

from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.kafka.packed import PackedValues, Values, joined_values, pack

CREATE_TIME = 0
"""The records of such a batch are stamped by their producer, each for itself."""
BATCH_EVENTS_MAX = 50_000
"""A batch ends with the producer batch that reaches this many records."""
BATCH_BYTES_MAX = 16 << 20
"""A batch ends with the producer batch that reaches this many bytes of values."""

PRIVATE: dict[str, tuple[str, ...]] = {
    "aiokafka.record.memory_records:_MemoryRecordsPy": ("has_next", "next_batch", "_next_slice"),
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


def show_bytes() -> None:
    """Let aiokafka hand out producer batches by its reader that shows their bytes (its other one, in C, does not)."""
    fetcher.MemoryRecords = _MemoryRecordsPy


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
    values: list[Values] = []
    runs: list[Run] = []
    taken = size = 0
    full = False
    while memory.has_next():
        if taken >= events_max or size >= bytes_max:
            full = True
            break
        raw = memory._next_slice
        batch = memory.next_batch()
        if records._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {topic_partition}")
        if not _is_readable(records, batch):
            records.next_fetch_offset = batch.next_offset
            continue
        some, of = _packed(batch, raw, records.next_fetch_offset) or _unpacked(batch, records.next_fetch_offset)
        if len(some):
            values.append(some)
            runs += of
            taken += len(some)
            size += some.bytes if isinstance(some, PackedValues) else sum(map(len, filter(None, some)))
        records.next_fetch_offset = batch.next_offset
    next_offset: int = records.next_fetch_offset
    fetched._update_position()
    if not full:
        fetched._partition_records = None
    if next_offset == start_offset:
        return None
    topic, partition = topic_partition.topic, topic_partition.partition
    return RecordBatch(topic, partition, start_offset, next_offset, joined_values(values), runs, size)


def _is_readable(records: Any, batch: Any) -> bool:
    """Whether a producer batch holds records a reader of this isolation level may see."""
    if records._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        records._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and records._contains_abort_marker(batch):
            records._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in records._aborted_producers:
            return False
    return not batch.is_control_batch


def _packed(batch: Any, raw: memoryview, from_offset: int) -> tuple[Values, list[Run]] | None:
    """One producer batch's records as they lie there; None where its records must be looked at one by one: some are
    before ``from_offset``, or missing, or each has a time of its own."""
    # In a batch stamped LogAppendTime, as usage.events is, the largest timestamp is that of every record.
    at_ms: int = batch.max_timestamp or 0
    stamped_alike = batch.timestamp_type != CREATE_TIME or batch.first_timestamp == at_ms
    if batch.base_offset < from_offset or not stamped_alike:
        return None
    packed = pack(raw)
    return None if packed is None else (PackedValues([packed]), [Run(batch.base_offset, packed.count, at_ms)])


def _unpacked(batch: Any, from_offset: int) -> tuple[Values, list[Run]]:
    """One producer batch's values and runs from an offset on."""
    records = [record for record in batch if record.offset >= from_offset]
    runs = []
    for (_, at_ms), same in groupby(enumerate(records), lambda one: (one[1].offset - one[0], one[1].timestamp)):
        members = [record for _, record in same]
        runs.append(Run(members[0].offset, len(members), at_ms))
    return [record.value for record in records], runs
