"""A Faust transport in which one Kafka fetch of one partition is one Faust message.

Stock Faust spends four asyncio tasks on every event; here an agent is handed a whole record batch, and assignment,
rebalancing, timers and the web server stay Faust's. Registered as ``tokenmeter://`` in ``faust.transports``.
It overrides what would commit or lose a batch behind the page engine's back; tests/contract guards what it touches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar, cast

import faust
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from tokenmeter.flow.faust.drain import drain, show_bytes
from tokenmeter.flow.page.blocked import OpenTransaction, open_transaction
from tokenmeter.kafka.batch import RecordBatch

FETCH_BYTES_MIN = 256 << 10
"""The broker waits for this much, so that load arrives in large batches ..."""
FETCH_WAIT_MS = 100
"""... but never longer than this, so that a quiet topic stays prompt."""
FETCH_TOTAL_BYTES_MAX = 32 << 20
"""What is fetched ahead of all partitions together, as long as each of them may have FETCH_PARTITION_BYTES_MIN."""
FETCH_PARTITION_BYTES_MAX = 8 << 20
FETCH_PARTITION_BYTES_MIN = 512 << 10
ISOLATION_LEVEL = "read_committed"
"""Aborted records are never metered nor loaded; Faust would ask for read_uncommitted."""

PRIVATE: dict[str, tuple[str, ...]] = {
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": (
        "_fetch_records",
        "_create_worker_consumer",
        "on_thread_stop",
    ),
    "faust.transport.drivers.aiokafka:Consumer": (
        "_new_consumer_thread",
        "_to_message",
        "_add_gap",
        "_new_offset",
        "wait_empty",
        "on_task_error",
        "on_partitions_revoked",
        "on_partitions_assigned",
    ),
    "aiokafka:AIOKafkaConsumer": ("_fetch_min_bytes", "_fetch_max_wait_ms", "_isolation_level", "_client"),
    "aiokafka.consumer.fetcher:Fetcher": (
        "_records",
        "_notify",
        "_wait_consume_future",
        "_create_fetch_waiter",
        "_max_partition_fetch_bytes",
    ),
}


class BatchApp(faust.App):
    """A Faust app whose topics in ``batch_topics`` arrive as record batches, and which dies when an agent fails.

    ``on_revoked`` and ``on_failure`` are set by the worker: the first hands partitions back to the page engine, the
    second ends the process (crash, restart and recover is the only recovery path).
    """

    batch_topics: frozenset[str] = frozenset()
    fetch_bytes_min: int = FETCH_BYTES_MIN
    on_revoked: Callable[[set[TP]], Any] | None = None
    on_failure: Callable[[BaseException], None] | None = None

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        """Stock Faust acknowledges the message whose agent raised: it would be lost. Ours ends the process."""
        if self.on_failure is not None:
            self.on_failure(exc)


def fetch_bytes(partitions: int) -> int:
    """How much may be fetched of each of so many partitions in one request."""
    share = FETCH_TOTAL_BYTES_MAX // max(1, partitions)
    return min(FETCH_PARTITION_BYTES_MAX, max(FETCH_PARTITION_BYTES_MIN, share))


def _batch_app(app: Any) -> BatchApp:
    """The app as what it is: this transport serves no other kind."""
    assert isinstance(app, BatchApp)
    return app


class BatchSchema(faust.Schema[Any, Any]):
    """Hands the record batch through: there is no per-event key or value to load."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        return None

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> RecordBatch:
        batch: RecordBatch = message.value
        return batch


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Polls aiokafka; the fetched records of batch topics leave it as one RecordBatch per partition.

    ``_handed`` is the next offset of each partition after what has left; None while partitions are being sought.
    ``begun`` is where each was begun.
    """

    STOP_S: ClassVar[float] = 5.0

    _handed: dict[Any, int] | None = None
    begun: Mapping[Any, int] = MappingProxyType({})

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Begin again at the committed offsets; a partition without one at 0, whatever the log still has."""
        self._handed = None
        committed: Mapping[Any, int | None] = await super().seek_to_committed()
        self._handed = {TP(tp.topic, tp.partition): offset or 0 for tp, offset in committed.items()}
        self.begun = dict(self._handed)
        return cast(Mapping[TP, int], committed)

    def _create_worker_consumer(self, transport: Any) -> Any:
        show_bytes()
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes = _batch_app(self.consumer.app).fetch_bytes_min
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = ISOLATION_LEVEL
        return consumer

    async def on_thread_stop(self) -> None:
        """While Kafka is away aiokafka's stop ends with the cancellation of its own fetch: mode would take the thread
        for one that has not stopped, and wait a minute for it."""
        with suppress(asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(self.STOP_S):
                await super().on_thread_stop()

    async def open_transaction(self, tp: TP) -> OpenTransaction | None:
        """See blocked.open_transaction."""
        return cast(OpenTransaction | None, await self.call_thread(open_transaction, self._ensure_consumer(), tp))

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[Any], timeout: float | None = None, max_records: int | None = None
    ) -> Mapping[Any, list[Any]]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        fetcher._max_partition_fetch_bytes = fetch_bytes(len(fetcher._subscriptions.assigned_partitions()))
        deadline = time.monotonic() + (timeout or 0)
        with fetcher._subscriptions.fetch_context():
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    await fetcher._subscriptions.wait_for_assignment()
                records = self._take_fetched(fetcher, active_partitions, max_records)
                remaining = deadline - time.monotonic()
                if records or remaining <= 0:
                    return records
                waiter = fetcher._create_fetch_waiter()
                done, pending = await asyncio.wait([waiter], timeout=remaining)
                if not done or fetcher._closed:
                    for future in pending:
                        future.cancel()
                    return {}
                waiter.result()

    def _take_fetched(self, fetcher: Any, active: set[Any], max_records: int | None) -> dict[Any, list[Any]]:
        """What ``Fetcher.fetched_records`` returns, with record batches for batch topics."""
        taken: dict[Any, list[Any]] = {}
        for tp in list(fetcher._records):
            if active and tp not in active:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
                continue
            fetched = fetcher._records[tp]
            if type(fetched) is not FetchResult:
                if taken:
                    return taken  # the error is raised by the next call, after these records
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
                fetched.check_raise()
                continue
            if tp.topic in _batch_app(self.consumer.app).batch_topics:
                batch = drain(fetched, tp)
                records = [batch] if batch is not None else []
                if batch is not None:
                    state = fetcher._subscriptions.subscription.assignment.state_value(tp)
                    batch.high_watermark = state.highwater or batch.next_offset
                    if self._handed is not None:
                        self._handed[TP(*tp)] = batch.next_offset
            else:
                records = fetched.getall(max_records)
            if not fetched.has_more():
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
            if records:
                taken[tp] = records
        return {**taken, **self._jumped(fetcher, active, taken)}

    def _jumped(self, fetcher: Any, active: set[Any], taken: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
        """An empty batch for each partition whose fetch position has jumped: retention removed what was to be read.

        aiokafka says nothing of it and goes on at the log's new start; with no new record behind, nobody would notice.
        """
        jumped: dict[Any, list[Any]] = {}
        assignment = fetcher._subscriptions.subscription.assignment
        for tp in active - taken.keys() - fetcher._records.keys():
            handed = None if self._handed is None else self._handed.get(TP(*tp))
            state = assignment.state_value(tp)
            if handed is None or state is None or not state.has_valid_position or state.position <= handed:
                continue
            at = state.position
            jumped[tp] = [RecordBatch(tp.topic, tp.partition, at, at, [], [], 0, max(at, state.highwater or 0))]
            cast(dict[Any, int], self._handed)[TP(*tp)] = at
        return jumped


class BatchConsumer(driver.Consumer):
    """Leaves position and commit of batch topics to the page engine."""

    WAIT_EMPTY_S: ClassVar[float] = 5.0
    ASK_S: ClassVar[float] = 5.0

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def open_transaction(self, tp: TP) -> OpenTransaction | None:
        """What holds the partition up, as far as Kafka tells; None also while it cannot be asked."""
        try:
            async with asyncio.timeout(self.ASK_S):
                return await cast(BatchConsumerThread, self._thread).open_transaction(tp)
        except (TimeoutError, KafkaError, AssertionError):  # the last: it is not assigned any more
            return None

    def begun(self, tp: TP) -> int:
        """The committed offset at which a partition was begun here, 0 where there is none."""
        return cast(BatchConsumerThread, self._thread).begun.get(tp, 0)

    def _to_message(self, tp: TP, record: Any) -> Any:
        if type(record) is not RecordBatch:
            return super()._to_message(tp, record)
        record.generation = self.app.consumer_generation_id
        record.received_at = time.monotonic()
        return ConsumerMessage(
            record.topic,
            record.partition,
            record.next_offset - 1,
            record.runs[-1].appended_at_ms / 1000 if record.runs else 0.0,
            0,
            None,
            None,
            cast(Any, record),
            None,
            0,
            record.bytes,
            tp,
            generation_id=record.generation,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A batch's offset is its last: the distance to the one before is no gap to be acknowledged."""
        if tp.topic not in _batch_app(self.app).batch_topics:
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        """Never anything to commit for a batch topic: the page's transaction commits its position."""
        if tp.topic not in _batch_app(self.app).batch_topics:
            offset: int | None = super()._new_offset(tp)
            return offset
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return None

    async def on_task_error(self, exc: BaseException) -> None:
        """Stock Faust commits here, which would lose what the failed agent had not finished."""

    async def wait_empty(self) -> None:
        """Open pages are dropped, not drained: nothing needs waiting for, and stock Faust waits for ever."""
        self._unacked_messages.clear()
        await asyncio.wait_for(super().wait_empty(), self.WAIT_EMPTY_S)

    async def on_partitions_revoked(self, revoked: Iterable[TP]) -> None:
        app = _batch_app(self.app)
        if app.on_revoked is not None:
            await app.on_revoked(set(revoked))
        await super().on_partitions_revoked(revoked)


class Transport(driver.Transport):
    """What ``tokenmeter://host:port`` stands for."""

    Consumer = BatchConsumer
