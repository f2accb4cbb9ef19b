"""Draining a fetch: what leaves it, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy

from tokenmeter.flow.faust.drain import drain

TP = TopicPartition("usage.events", 0)
RECORDS = 100


@pytest.fixture
def collector_off() -> Iterator[None]:
    """A tuned process hardly ever collects cycles; here it never does."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def fetched(later_ms: int = 0) -> tuple[Any, weakref.ref[Any]]:
    """A fetch of one producer batch, as aiokafka makes it, and whether its bytes are still held. Each tenth record is
    ``later_ms`` later."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for number in range(RECORDS):
        builder.append(number, 1_000 + number // 10 * later_ms, b"key", b"value-%d" % number, [])

    async def make() -> tuple[Any, weakref.ref[Any]]:
        subscription = SubscriptionState(loop=asyncio.get_running_loop())
        subscription.assign_from_user([TP])
        assignment = subscription.subscription.assignment
        assignment.state_value(TP).seek(0)
        records = PartitionRecords(
            TP, _MemoryRecordsPy(bytes(builder.build())), [], 0, None, None, True, READ_COMMITTED
        )
        return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0), weakref.ref(records)

    return asyncio.run(make())


def test_a_drained_fetch_gives_every_value_and_is_freed_without_the_collector(collector_off: None) -> None:
    fetch, held = fetched()
    batch = drain(fetch, TP)
    assert batch is not None
    assert list(batch.values) == [b"value-%d" % number for number in range(RECORDS)]
    assert not fetch.has_more()
    assert held() is None


def test_records_that_their_producer_stamped_have_each_its_own_time() -> None:
    fetch, _ = fetched(later_ms=60_000)
    batch = drain(fetch, TP)
    assert batch is not None
    assert batch.appended_at_ms().tolist() == [1_000 + number // 10 * 60_000 for number in range(RECORDS)]
    assert batch.offsets().tolist() == list(range(RECORDS))
    assert len(batch.runs) == 10


def test_the_same_check_sees_what_a_fetch_that_keeps_its_generator_leaks(collector_off: None) -> None:
    fetch, held = fetched()
    fetch._partition_records = None
    assert held() is not None
