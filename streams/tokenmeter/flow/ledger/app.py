"""The ``ledger`` worker: ledger.entries in; account.state and alerts out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from tokenmeter.events.contract import LEDGER
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.worker import MakePerformer, Worker, on_kafka
from tokenmeter.flow.ledger.catalog import CatalogRows
from tokenmeter.flow.ledger.processor import LedgerProcessor
from tokenmeter.flow.ledger.terms import LedgerRules
from tokenmeter.flow.page.page import Processor
from tokenmeter.kafka.logreader import KafkaLogReader

PAGE_MIN_SECONDS = 0.1
"""A second hop must not wait as long as the first: an alert is due within a second of its call."""
FETCH_BYTES_MIN = 1
"""Entries come in the meters' transactions, which are batches already."""
DEMAND_INTERVAL_S = 0.15
"""A page that alerts closes at once, but for those that others have just closed."""


@dataclass(frozen=True)
class LedgerConfig:
    """``worker.topics`` is ledger.entries alone."""

    worker: WorkerConfig
    rules: LedgerRules = field(default_factory=LedgerRules)


def build(config: LedgerConfig, make_performer: MakePerformer = on_kafka) -> Worker:
    """The worker, not yet running."""
    log = KafkaLogReader(config.worker.kafka())
    catalog = CatalogRows(log, time.monotonic)

    def make_processor(topic: str, partition: int) -> Processor:
        assert topic == LEDGER
        return LedgerProcessor(partition, log, catalog, config.rules)

    return Worker(replace(config.worker, position_early=True), make_processor, make_performer)


def run(config: LedgerConfig) -> None:
    """Keep the ledger until stopped."""
    build(config).run()
