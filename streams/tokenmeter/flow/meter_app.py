"""The ``meter`` worker: usage.events in; lines, quarantine and pages out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokenmeter.events.contract import EVENTS
from tokenmeter.flow.logreader import KafkaLogReader
from tokenmeter.flow.meter import Meter, MeterRules
from tokenmeter.flow.page import Processor
from tokenmeter.flow.worker import MakeDriver, Worker, WorkerConfig, kafka_driver

APP_ID = "tokenmeter-meter"


@dataclass(frozen=True)
class MeterConfig:
    """``worker.topics`` is usage.events alone."""

    worker: WorkerConfig
    rules: MeterRules = field(default_factory=MeterRules)


def build(config: MeterConfig, make_driver: MakeDriver = kafka_driver) -> Worker:
    """The worker, not yet running."""
    log = KafkaLogReader(config.worker.kafka())
    name = config.worker.instance_id or config.worker.app_id

    def make_processor(topic: str, partition: int) -> Processor:
        assert topic == EVENTS
        return Meter(partition, log, lambda: datetime.now(UTC), name, config.rules)

    return Worker(config.worker, make_processor, make_driver)


def run(config: MeterConfig) -> None:
    """Meter until stopped."""
    build(config).run()
