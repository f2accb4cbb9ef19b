"""Records decoded as they lie on the log, in Kafka's own framing, and what must not be read that way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.memory_records import _MemoryRecordsPy

from support.events import value
from support.producer_batch import Record, plain, producer_batch
from tokenmeter.flow.columns import block
from tokenmeter.flow.columns import decode as decoding
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.faust.drain import drain
from tokenmeter.kafka.batch import RecordBatch, merged
from tokenmeter.kafka.packed import PackedValues

TP = TopicPartition("usage.events", 0)
SIZE = 60
VALUES: list[bytes | None] = [value(number) for number in range(SIZE)]


def fetched(data: bytes, from_offset: int = 0) -> RecordBatch:
    async def make() -> Any:
        subscription = SubscriptionState(loop=asyncio.get_running_loop())
        subscription.assign_from_user([TP])
        assignment = subscription.subscription.assignment
        assignment.state_value(TP).seek(from_offset)
        records = PartitionRecords(TP, _MemoryRecordsPy(data), [], from_offset, None, None, True, READ_COMMITTED)
        return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)

    batch = drain(asyncio.run(make()), TP)
    assert batch is not None
    return batch


@pytest.fixture
def whole_blocks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each block that was read was packed, where all its proofs held."""
    seen: list[bool] = []
    read = block.read

    def noted(parts: Any, counts: list[int], fmt: block.Format) -> Any:
        frame = read(parts, counts, fmt)
        if frame is not None:
            seen.append(fmt.packed)
        return frame

    monkeypatch.setattr(decoding.block, "read", noted)
    return seen


@pytest.mark.parametrize("codec", range(5), ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_whole_producer_batches_are_one_block(codec: int, whole_blocks: list[bool]) -> None:
    records = plain(VALUES)
    batch = fetched(producer_batch(records[:25], codec) + producer_batch(records[25:], codec, 25))
    assert decode(batch.values).frame.equals(decode(VALUES).frame)
    assert whole_blocks[0] is True
    assert batch.offsets().tolist() == list(range(SIZE))
    assert list(batch.values) == VALUES


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "nothing": lambda whole: None,
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[:-3],
    "a byte more": lambda whole: whole + b"\x00",
    "a second event behind it": lambda whole: whole + whole[5:],
    "a whole Kafka record behind it": lambda whole: whole + b"\x00" + whole,
    "another prefix": lambda whole: b"\x01" + whole[1:],
    "noise": lambda whole: random.Random(3).randbytes(len(whole)),
}


@pytest.mark.parametrize("place", [0, 30, SIZE - 1])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_value_is_refused_alone(damage: str, place: int, whole_blocks: list[bool]) -> None:
    whole = VALUES[place]
    assert whole is not None
    values = [*VALUES]
    values[place] = DAMAGES[damage](whole)
    found = decode(fetched(producer_batch(plain(values))).values)
    assert [bad.index for bad in found.rejected] == [place]
    expected = decode(VALUES).frame
    assert found.frame.equals(expected.filter(expected[INDEX] != place))
    assert True not in whole_blocks


@pytest.mark.parametrize(
    "record",
    [(None, VALUES[7], []), (b"key", VALUES[7], [("traceparent", b"00-1")]), (b"key", VALUES[7], [("a", None)] * 3)],
    ids=["no key", "a header", "three headers"],
)
def test_a_record_that_says_more_or_less_than_a_plain_one_is_unpacked(record: Record, whole_blocks: list[bool]) -> None:
    records = plain(VALUES)
    records[7] = record
    found = decode(fetched(producer_batch(records)).values)
    assert found.rejected == []
    assert found.frame.equals(decode(VALUES).frame)
    assert True not in whole_blocks


def test_offsets_that_do_not_follow_each_other_are_no_proof() -> None:
    data = producer_batch(plain(VALUES))
    packed = fetched(data).values
    assert isinstance(packed, PackedValues)
    (part,) = packed.parts
    fmt = block.format_of(decoding.latest("usage_event"), packed=True)
    assert block.read([part.records], [SIZE], fmt) is not None
    assert block.read([part.records], [SIZE - 1, 1], fmt) is None


def test_what_compaction_left_and_what_is_read_from_the_middle_keep_their_offsets() -> None:
    compacted = fetched(producer_batch(plain(VALUES), step=3))
    assert not isinstance(compacted.values, PackedValues)
    assert compacted.offsets().tolist() == list(range(0, 3 * SIZE, 3))
    later = fetched(producer_batch(plain(VALUES)), from_offset=20)
    assert list(later.values) == VALUES[20:]
    assert later.offsets().tolist() == list(range(20, SIZE))


def test_batches_stay_packed_when_they_are_joined_and_cut_where_they_are_looked_into() -> None:
    first, second = (
        fetched(producer_batch(plain(VALUES))),
        fetched(producer_batch(plain(VALUES), first_offset=SIZE), SIZE),
    )
    both = merged([first, second])
    assert isinstance(both.values, PackedValues)
    assert both.values[:] is both.values
    assert np.array_equal(both.offsets(), np.arange(2 * SIZE))
    rest = both.from_offset(50)
    assert list(rest.values) == (VALUES + VALUES)[50:]
    mixed = merged([first, fetched(producer_batch(plain(VALUES), first_offset=SIZE), SIZE + 1)])
    assert not isinstance(mixed.values, PackedValues)
    assert list(mixed.values) == VALUES + VALUES[1:]
