"""A meter, loader, ledger or watch that breaks on purpose: ``main`` of a process of its own, see support.workers.

The worker is production's; only its performer is wrapped. A crash point names an effect of ``flow.page.steps``, a
side of it and which occurrence; a mutant does one thing wrongly, so that a test shows it would notice.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
from confluent_kafka import Producer, TopicPartition
from pydantic import TypeAdapter
from tenacity import stop_after_attempt

from support.mutants import METERS
from support.next_version import rehearse
from tokenmeter.events.errors import Transient
from tokenmeter.events.groups import GROUPS
from tokenmeter.flow.faust import worker as worker_module
from tokenmeter.flow.faust.config import POLL_INTERVAL_S, WorkerConfig
from tokenmeter.flow.faust.worker import Worker
from tokenmeter.flow.ledger import app as ledger_app
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.load.load import Insert, Loader
from tokenmeter.flow.meter import MeterProcessor, MeterRules
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.flow.meter.dedup import HORIZON_MINUTES
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.page import Demand, PageLimits, Processor
from tokenmeter.flow.page.performer import Performer, Performs
from tokenmeter.flow.watch import app as watch_app
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow

UNBOUNDED = 1_000_000
LEAKED_BYTES = 4_096
NO_FENCE_TIMEOUT_MS = 15 * 60_000
"""The longest a broker takes."""
OUTSIDE_S = 0.2
"""How long a mutant takes between two steps that should have been one."""


@dataclass(frozen=True)
class Point:
    """Where to break: at the ``occurrence``-th ``effect`` (1 is the first), ``before`` or ``after`` it."""

    effect: str
    side: Literal["before", "after"]
    occurrence: int = 1
    signal: Literal["KILL", "STOP"] = "KILL"

    def __str__(self) -> str:
        return f"{self.side} {self.effect} {self.occurrence}"


@dataclass(frozen=True)
class Spec:
    """What to run. ``mutant``: commit_outside (the offset goes into a transaction of its own), no_fence (every process
    has a transactional id of its own), ack_first (the loader commits before it inserts), restamp (the loader gives each
    try of an insert another page), any_topic (the loader does not look whether a topic was made anew), silent_gap (what
    retention removed unread is skipped and not counted), unbounded
    (batches are taken however many wait already), leak (LEAKED_BYTES of each event are kept for good), or a meter of
    support.mutants. With a horizon below 0 a meter knows no repeats. ``upgraded``: it knows the next schema version.
    ``clock_s``: where a watch's clock stands still."""

    kind: Literal["meter", "load", "ledger", "watch"]
    bootstrap: str
    port: int
    work_dir: Path
    slot: str | None = None
    page_seconds: float = 0.3
    page_events: int = 1_000
    point: Point | None = None
    mutant: (
        Literal["commit_outside", "no_fence", "ack_first", "restamp", "any_topic", "silent_gap", "unbounded", "leak"]
        | Literal["skip_bad", "blind_decode"]
        | None
    ) = None
    clickhouse_url: str = ""
    poll_interval_s: float | None = None
    horizon_ms: int = HORIZON_MINUTES * 60_000
    quarantine_ratio_max: float = 0.5
    upgraded: bool = False
    clock_s: float | None = None

    def as_json(self) -> bytes:
        return TypeAdapter(Spec).dump_json(self)


class BreakingDriver(KafkaDriver):
    """What a mutant does wrongly with Kafka itself."""

    spec: Spec

    def flush(self) -> None:
        """Everything produced is in the log, though not committed."""
        self._tx.flush(10)

    def commit_alone(self, next_offset: int) -> None:
        other = Producer({**self._client, "transactional.id": f"{super().transactional_id()}-offsets"})
        other.init_transactions(10)
        other.begin_transaction()
        position = TopicPartition(self._topic, self._partition, next_offset)
        other.send_offsets_to_transaction([position], self._named, 10)
        other.commit_transaction(10)
        time.sleep(OUTSIDE_S)

    def transactional_id(self) -> str:
        own = super().transactional_id()
        return f"{own}-{uuid.uuid4()}" if self.spec.mutant == "no_fence" else own

    def transaction_timeout_ms(self) -> int:
        # On a slow machine the broker's abort would fence it after all.
        return NO_FENCE_TIMEOUT_MS if self.spec.mutant == "no_fence" else super().transaction_timeout_ms()


class Breaking(Performer):
    """Production's performer, with one point at which it sends itself a signal and at most one thing done wrongly."""

    seen = 0
    spec: Spec
    driver: BreakingDriver

    def perform(self, effect: steps.Effect) -> Any:
        point = self.spec.point
        hit = False
        if point is not None and type(effect).__name__ == point.effect:
            Breaking.seen += 1
            hit = Breaking.seen == point.occurrence
        if hit and point is not None and point.side == "before":
            self._break(point)
        answer = self._perform_or_mutant(effect)
        if hit and point is not None and point.side == "after":
            if isinstance(effect, steps.Produce):
                self.driver.flush()  # the worst case: everything is in the log when the process ends
            self._break(point)
        return answer

    def _break(self, point: Point) -> None:
        os.kill(os.getpid(), getattr(signal, f"SIG{point.signal}"))

    def _perform_or_mutant(self, effect: steps.Effect) -> Any:
        mutant = self.spec.mutant
        if mutant == "commit_outside" and isinstance(effect, steps.SendOffsets):
            return self.driver.commit_alone(effect.next_offset)
        if mutant == "silent_gap" and isinstance(effect, steps.Close):
            return super().perform(steps.Close(replace(effect.bounds, lost=0)))
        if mutant == "silent_gap" and isinstance(effect, steps.SendOffsets):
            return super().perform(steps.SendOffsets(effect.next_offset))
        if mutant == "ack_first" and isinstance(effect, steps.Close):
            return []
        if mutant == "ack_first" and isinstance(effect, steps.Committed):
            super().perform(steps.Close(effect.bounds))
        return super().perform(effect)


def leak(processor: Processor) -> None:
    """Let it keep something of every event for as long as the process lives."""
    fold, kept = processor.add, []

    def add(batch: RecordBatch) -> Demand:
        kept.append(random.randbytes(LEAKED_BYTES) * len(batch))
        return fold(batch)

    processor.add = add  # type: ignore[method-assign]


def restamping(url: str) -> Insert:
    """An insert that is tried again under another page number."""
    client = connect(url, "writer", "secret", database=load_app.DATABASE)
    once = insert_arrow.retry_with(stop=stop_after_attempt(1))

    def insert(table: str, frame: pl.DataFrame) -> None:
        while True:
            if "first_offset" in frame.columns:
                frame = frame.with_columns(pl.lit(random.getrandbits(62), pl.Int64).alias("first_offset"))
            try:
                once(client, table, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
                return
            except Transient:
                time.sleep(OUTSIDE_S)

    return insert


def main(told: Path) -> None:
    """Be the worker of which the file ``told`` holds the Spec."""
    spec = TypeAdapter(Spec).validate_json(told.read_bytes())
    Breaking.spec = BreakingDriver.spec = spec
    logging.basicConfig(level=logging.INFO)
    if spec.mutant == "any_topic":
        load_app.require_same_topics = lambda store, ids: None
    if spec.mutant == "unbounded":
        for limit in ("QUEUE_BATCHES_MAX", "PARTITION_BATCHES_MAX", "WORKER_BATCHES_MAX"):
            setattr(worker_module, limit, UNBOUNDED)
    worker = WorkerConfig(
        GROUPS[spec.kind].id,
        spec.bootstrap,
        GROUPS[spec.kind].topics,
        spec.work_dir,
        web_port=spec.port,
        instance_id=spec.slot,
        limits=PageLimits(seconds=spec.page_seconds, events=spec.page_events),
        poll_interval_s=spec.poll_interval_s or POLL_INTERVAL_S,
    )

    def make_performer(config: WorkerConfig, topic: str, partition: int, processor: Processor) -> Performs:
        if spec.mutant == "restamp" and isinstance(processor, Loader):
            processor.insert = restamping(spec.clickhouse_url)
        if spec.mutant == "leak":
            leak(processor)
        # Frozen with its position on the way and fenced by nobody, it would hold up whoever asks for the position.
        early = config.position_early and spec.mutant != "no_fence"
        driver = BreakingDriver(config.kafka(), config.app_id, topic, partition, early)
        return Breaking(driver, processor, driver.name)

    rules = MeterRules(spec.horizon_ms, spec.quarantine_ratio_max)

    def make_mutant(topic: str, partition: int) -> MeterProcessor:
        log = KafkaLogReader(worker.kafka())
        return METERS[spec.mutant or ""](partition, log, lambda: datetime.now(UTC), "mutant", rules)

    with rehearse() if spec.upgraded else nullcontext():
        if spec.mutant in METERS:
            Worker(worker, make_mutant, make_performer).run()
        elif spec.kind == "ledger":
            ledger_app.build(ledger_app.LedgerConfig(worker), make_performer).run()
        elif spec.kind == "watch":
            clock = time.time if spec.clock_s is None else lambda: spec.clock_s or 0.0
            watch_app.build(watch_app.WatchConfig(worker), make_performer, clock).run()
        elif spec.kind == "meter":
            meter_app.build(meter_app.MeterConfig(worker, rules), make_performer).run()
        else:
            config = load_app.LoadConfig(worker, spec.clickhouse_url, "writer", "secret")
            load_app.build(config, make_performer).run()
