"""The ``meter`` worker: usage.events in; lines, quarantine and pages out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tokenmeter.events import UsageEvent, encode
from tokenmeter.events.contract import EVENTS
from tokenmeter.flow.columns.decode import SINGLE_VALUES_MAX, decode
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.worker import MakePerformer, Worker, on_kafka
from tokenmeter.flow.meter import MeterProcessor, MeterRules
from tokenmeter.flow.meter.dedup import fingerprint
from tokenmeter.flow.meter.journal import FileJournal
from tokenmeter.flow.page.page import Processor
from tokenmeter.flow.rate.catalog import CatalogRates
from tokenmeter.kafka.logreader import KafkaLogReader

JOURNAL_FOLDER = "horizon"
"""In the worker's folder: the journal of each partition. Losing it costs the time to read the log."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_SAMPLE = encode(
    "usage_event",
    UsageEvent(event_id="e", occurred_at=_EPOCH, customer_id="c", model="m", provider="p", tags=("t",)).to_record(),
)
"""An event whose hash says how dedup keys are made by this version."""


@dataclass(frozen=True)
class MeterConfig:
    """``worker.topics`` is usage.events alone."""

    worker: WorkerConfig
    rules: MeterRules = field(default_factory=MeterRules)


def build(config: MeterConfig, make_performer: MakePerformer = on_kafka) -> Worker:
    """The worker, not yet running."""
    log = KafkaLogReader(config.worker.kafka())
    rates = CatalogRates(config.worker.kafka())
    name = config.worker.instance_id or config.worker.app_id

    hashed_as = fingerprint(decode([_SAMPLE] * (SINGLE_VALUES_MAX + 1)).frame)

    def make_processor(topic: str, partition: int) -> Processor:
        assert topic == EVENTS
        folder = config.worker.work_dir / JOURNAL_FOLDER / str(partition)
        journal = FileJournal(folder, config.rules.horizon_ms, hashed_as)
        return MeterProcessor(partition, log, lambda: datetime.now(UTC), name, config.rules, journal, rates)

    worker = Worker(replace(config.worker, position_early=True), make_processor, make_performer)
    worker.notes = lambda: {"foreign_catalog_rows": rates.foreign}
    return worker


def run(config: MeterConfig) -> None:
    """Meter until stopped."""
    build(config).run()
