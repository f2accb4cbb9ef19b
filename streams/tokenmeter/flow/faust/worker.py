"""Runs a page engine inside a Faust worker: agents feed it, timers close pages and watch, the web shows its health."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

from faust.types.tuples import TP
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tokenmeter.events.errors import Fatal, TokenmeterError
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.credentials import credentials
from tokenmeter.flow.faust.memory import tune
from tokenmeter.flow.faust.metrics import Metrics
from tokenmeter.flow.faust.preflight import port_is_free, topics_exist
from tokenmeter.flow.faust.standing_back import stand_back
from tokenmeter.flow.faust.transport import FETCH_PARTITION_BYTES_MAX, BatchApp, BatchConsumer, BatchSchema
from tokenmeter.flow.faust.watchdog import Watchdog
from tokenmeter.flow.page.blocked import Blocked
from tokenmeter.flow.page.calls import CALLS
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.engine import TICK_S, Engine
from tokenmeter.flow.page.page import Processor
from tokenmeter.flow.page.performer import Performer, Performs
from tokenmeter.flow.page.same_log import SameLog
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.identity import identity
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.losses import lost_offsets

log = logging.getLogger(__name__)

EXIT_CRASHED = 70
"""The worker ended itself; a supervisor starts it again and it resumes at its last committed page."""
QUEUE_BATCHES_MAX = 4
"""Batches waiting in Faust's queue for one topic."""
PARTITION_BATCHES_MAX = 2
"""Batches of one partition in work or waiting for it."""
WORKER_BATCHES_MAX = 8
"""Batches of all partitions in work or waiting for it: with 64 partitions two of each would be gigabytes."""
TAKEN_MAX = 16
"""Partitions that a worker takes side by side when it begins."""
SESSION_TIMEOUT_S = 10.0
HEARTBEAT_S = 2.0
WATCH_S = 1.0


def die(error: BaseException) -> None:
    """End the process at once: crash, restart and recover is the only recovery path."""
    if isinstance(error, TokenmeterError):
        log.critical("%s: %s", type(error).__name__, error)
    else:
        log.critical("unexpected error", exc_info=error)
    logging.shutdown()
    os._exit(EXIT_CRASHED)


MakeProcessor = Callable[[str, int], Processor]
MakePerformer = Callable[[WorkerConfig, str, int, Processor], Performs]


def on_kafka(config: WorkerConfig, topic: str, partition: int, processor: Processor) -> Performs:
    """The performer of production."""
    driver = KafkaDriver(config.kafka(), config.app_id, topic, partition, config.position_early, config.group)
    return Performer(driver, processor, driver.name)


class Worker:
    """A Faust app around an engine. ``make_performer`` is the seam at which tests break things on purpose."""

    def __init__(
        self, config: WorkerConfig, make_processor: MakeProcessor, make_performer: MakePerformer = on_kafka
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self.watchdog = Watchdog(config.stall_seconds)
        self.waiting_s = 0.0
        self.notes: Callable[[], Mapping[str, Any]] = dict
        """What else /health shows."""
        self.blocked = Blocked()
        self._lost: dict[tuple[str, int], int] = {}
        self._lost_read_for: set[Any] = set()

        def make_owner(topic: str, partition: int) -> tuple[Performs, Processor]:
            processor = make_processor(topic, partition)
            return make_performer(config, topic, partition, processor), processor

        self.engine = Engine(make_owner, config.limits, time.monotonic, die, self.metrics.closed, config.threads)
        self.app = self._new_app()
        self._slots: dict[tuple[str, int], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(PARTITION_BATCHES_MAX)
        )
        self._batches = asyncio.Semaphore(WORKER_BATCHES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        """Run until a signal stops the worker; never returns normally.

        Raises Misconfigured or Fatal at once when its port is taken, Kafka does not answer or a topic is missing.
        """
        port_is_free(self.config.web_host, self.config.web_port)
        topics_exist(self.config.kafka(), self.config.topics)
        self.config.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        kafka = self.config.kafka()
        same_log = SameLog(
            self.config.work_dir,
            lambda: identity(kafka, self.config.topics),
            lambda: read_growths(KafkaLogReader(kafka)),
        )
        if self.config.same_log:
            same_log.require()
        stand_back(self.config.niceness)
        tune()
        CALLS.watch(die)
        if self.config.same_log:
            same_log.watch(die)
        logging.getLogger("mode.timers").setLevel(logging.ERROR)  # it warns of each close that outlasts a tick
        sys.argv = ["tokenmeter", "worker", "--loglevel", "info"]
        self.app.main()

    def _new_app(self) -> BatchApp:
        config = self.config
        app = BatchApp(
            config.app_id,
            broker=[f"tokenmeter://{server}" for server in config.bootstrap_servers.split(",")],
            broker_credentials=credentials(config.client),
            store="memory://",
            datadir=str(config.work_dir),
            web_bind=config.web_host,
            web_host=config.web_host,
            web_port=config.web_port,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_wait_empty=False,
            worker_redirect_stdouts=False,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=FETCH_PARTITION_BYTES_MAX,
            consumer_group_instance_id=config.instance_id,
            broker_session_timeout=SESSION_TIMEOUT_S,
            broker_heartbeat_interval=HEARTBEAT_S,
            broker_max_poll_interval=config.poll_interval_s,
        )
        app.batch_topics = frozenset(config.topics)
        app.fetch_bytes_min = config.fetch_bytes_min
        app.on_failure = die
        app.on_revoked = self._revoked
        for name in config.topics:
            topic = app.topic(name, schema=BatchSchema(), maxsize=QUEUE_BATCHES_MAX)
            app.agent(topic, name=f"{config.app_id}:{name}")(self._consume)
        app.timer(TICK_S)(self._close_due)
        app.timer(WATCH_S)(self._take_early)
        app.timer(WATCH_S)(self._watch)

        # Faust makes a view's method of what it is given, so a bound method would be bound twice.
        async def health(web: Any, request: Any) -> Any:
            return self._health(web)

        async def metrics(web: Any, request: Any) -> Any:
            return self._metrics(web)

        app.page("/health")(health)
        app.page("/metrics")(metrics)
        return app

    async def _consume(self, stream: Any) -> None:
        """Hand each batch to the engine: partitions side by side, batches of one partition in order."""
        async for event in stream.noack().events():
            batch: RecordBatch = event.value
            slot = self._slots[(batch.topic, batch.partition)]
            await slot.acquire()
            await self._batches.acquire()
            task = asyncio.create_task(self._add(batch, slot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            event.ack()  # commits nothing: see BatchConsumer._new_offset

    async def _add(self, batch: RecordBatch, slot: asyncio.Semaphore) -> None:
        try:
            await self.engine.add(batch, lambda: batch.generation == self.app.consumer_generation_id)
        finally:
            slot.release()
            self._batches.release()

    async def _revoked(self, partitions: set[Any]) -> None:
        await self.engine.revoke([(tp.topic, tp.partition) for tp in partitions])

    async def _close_due(self) -> None:
        await self.engine.close_due()

    async def _watch(self) -> None:
        """Update lag; end the process when work stands still."""
        consumer = self.app.consumer
        owners = {(owner.topic, owner.partition): owner for owner in self.engine.owners}
        assigned = {tp for tp in consumer.assignment() if tp.topic in self.app.batch_topics}
        now = time.monotonic()
        self.waiting_s = 0.0
        for tp in assigned:
            owner = owners.get((tp.topic, tp.partition))
            highest = consumer.highwater(tp) or 0
            if owner is not None:
                self.metrics.remembered.labels(tp.topic, str(tp.partition)).set(owner.processor.remembered())
                owner.high_watermark = max(owner.high_watermark, highest)
                lag, progressed_at = owner.lag, owner.progressed_at
            else:
                position = await consumer.position(tp)
                lag, progressed_at = (highest - position if position is not None else 0), 0.0
            self.metrics.lag.labels(tp.topic, str(tp.partition)).set(max(0, lag))
            waiting_s = self.watchdog.observe(tp, lag, progressed_at, now)
            held_up = await self.blocked.look(tp, waiting_s, now, cast(BatchConsumer, consumer).open_transaction)
            if not held_up:
                self.waiting_s = max(self.waiting_s, waiting_s)
            if waiting_s > self.config.stall_seconds and not held_up:
                die(
                    Fatal(
                        f"{tp.topic}/{tp.partition}: {lag} offsets wait, no page was committed for {waiting_s:.0f} s",
                        hint="tokenmeter status",
                    )
                )
        self.watchdog.forget(set(assigned))
        self.blocked.forget(assigned)
        await self._watch_losses(assigned)

    async def _take_early(self) -> None:
        """Own what is assigned before its first batch has its turn: where something waits, and everything if time
        passes for this app, for a partition may be idle from the start.

        Most of owning is waiting for Kafka. One after the other, each behind batches of others, the 36 partitions of a
        small stack took a loader 12 s.
        """
        consumer = cast(BatchConsumer, self.app.consumer)
        if self.app.rebalancing:
            return
        assigned = {tp for tp in consumer.assignment() if tp.topic in self.app.batch_topics}
        owned = {TP(owner.topic, owner.partition) for owner in self.engine.owners}
        # What was taken at the moment at which it was given up: nobody else would notice.
        await self.engine.revoke([(tp.topic, tp.partition) for tp in owned - assigned])
        at_once = asyncio.Semaphore(TAKEN_MAX)

        async def take(tp: TP) -> None:
            highest = consumer.highwater(tp)
            if highest is not None and (self.config.clocked or highest > consumer.begun(tp)):
                async with at_once:
                    await self.engine.take(tp.topic, tp.partition, highest, lambda: tp in consumer.assignment())

        await asyncio.gather(*(take(tp) for tp in assigned - owned))

    async def _watch_losses(self, assigned: set[Any]) -> None:
        """Show what retention has ever removed unread, from the group's commits and from the partitions in hand."""
        if assigned - self._lost_read_for:
            config = self.config
            self._lost = await asyncio.to_thread(lost_offsets, config.kafka(), config.app_id, config.topics)
            self._lost_read_for = assigned
        self._lost.update({(o.topic, o.partition): o.lost for o in self.engine.owners if o.ready})
        for (topic, partition), lost in self._lost.items():
            self.metrics.lost.labels(topic, str(partition)).set(lost)

    def _health(self, web: Any) -> Any:
        """``ok`` says that work goes on, as far as this worker can. A loss does not change it, nor what it is
        ``blocked`` by: no restart brings back what is gone, or ends another's transaction."""
        healthy = self.waiting_s <= self.config.stall_seconds / 2
        body = {
            "ok": healthy,
            "app": self.config.app_id,
            "waiting_seconds": round(self.waiting_s, 1),
            "lost_offsets": sum(self._lost.values()),
            "blocked": self.blocked.told(),
            **self.notes(),
            "partitions": [
                {"topic": o.topic, "partition": o.partition, "committed": o.committed, "lag": o.lag}
                for o in self.engine.owners
            ],
        }
        return web.json(body, status=200 if healthy else 503)

    def _metrics(self, web: Any) -> Any:
        return web.bytes(generate_latest(self.metrics.registry), content_type=CONTENT_TYPE_LATEST.split(";")[0])
