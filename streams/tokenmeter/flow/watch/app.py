"""The ``watch`` worker: usage.billing and usage.market in; watch.state and alerts out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.worker import MakePerformer, Worker, on_kafka
from tokenmeter.flow.page.page import Processor
from tokenmeter.flow.watch.feeds import FEEDS
from tokenmeter.flow.watch.processor import WatchProcessor
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.kafka.logreader import KafkaLogReader

PAGE_MIN_SECONDS = 1.0
"""Its buckets are a minute."""
NICENESS = 5
STALL_SECONDS = 300.0
"""A batch of few lines may be days of minutes, each of which is judged."""


@dataclass(frozen=True)
class WatchConfig:
    """``worker.topics`` are those of FEEDS."""

    worker: WorkerConfig
    plan: Settings = field(default_factory=Settings)


def build(
    config: WatchConfig, make_performer: MakePerformer = on_kafka, clock: Callable[[], float] = time.time
) -> Worker:
    """The worker, not yet running."""
    log = KafkaLogReader(config.worker.kafka())

    def make_processor(topic: str, partition: int) -> Processor:
        return WatchProcessor(FEEDS[topic], partition, log, clock, config.plan)

    worker = Worker(replace(config.worker, clocked=True, niceness=NICENESS), make_processor, make_performer)

    def notes() -> dict[str, object]:
        watches = [one.processor.watch for one in worker.engine.owners if isinstance(one.processor, WatchProcessor)]
        opened = [watch.collect.open for watch in watches if watch.collect.open is not None]
        return {
            "sensitivity": config.plan.sensitivity.name.lower(),
            "subjects": sum(watch.subjects.watched for watch in watches),
            "open_alerts": sum(len(watch.causes.open) for watch in watches),
            "judged_until": min(opened, default=0) * config.plan.bucket_s,
        }

    worker.notes = notes
    return worker


def run(config: WatchConfig) -> None:
    """Watch until stopped."""
    build(config).run()
