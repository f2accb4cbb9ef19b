"""The ``load`` worker: every topic of ours into ClickHouse, and the totals of what was loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import polars as pl
from clickhouse_connect.driver.client import Client

from tokenmeter.events import growth
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.worker import MakePerformer, Worker, die, on_kafka
from tokenmeter.flow.load.gate import InsertGate
from tokenmeter.flow.load.load import Loader
from tokenmeter.flow.load.topics import require_loaded_here, require_same_topics, watch_topics
from tokenmeter.flow.load.totals import Remaker, touched
from tokenmeter.flow.meter.routes import Homes
from tokenmeter.flow.page.page import Processor
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.identity import topic_ids
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow
from tokenmeter.store.totals import Totals

PAGE_SECONDS = 1.0
"""Younger than the meter's pages: what is metered should be seen soon."""
PAGE_EVENTS = 100_000
DATABASE = "tokenmeter"
NICENESS = 10
"""Boards may be a second late; an alert may not. Behind, it loads larger pages, which cost less."""
THREADS = 512
"""Pages that may wait at the gate at once: they wait in threads, one for each partition of each topic."""


@dataclass(frozen=True)
class LoadConfig:
    """Where the rows go; the user must be able to insert into the tokenmeter database."""

    worker: WorkerConfig
    clickhouse_url: str
    clickhouse_user: str
    clickhouse_password: str

    def connect(self) -> Client:
        """A client serves one thread at a time."""
        return connect(self.clickhouse_url, self.clickhouse_user, self.clickhouse_password, database=DATABASE)


class Store:
    """Writes what the gate gathered: rows first, then what is due because of them, then the loaders may commit.

    ``check`` is called before the first row is written, and must raise when nothing may be.
    """

    def __init__(self, connect: Callable[[], Client], remaker: Remaker, check: Callable[[Client], None]) -> None:
        self._connect = connect
        self._remaker = remaker
        self._check = check
        self._client: Client | None = None

    def write(self, frames: Mapping[str, list[pl.DataFrame]]) -> None:
        """See gate.Write. One insert a table, each of all partitions."""
        if self._client is None:
            client = self._connect()
            self._check(client)
            self._client = client
        due = set()
        for table, parts in frames.items():
            rows = pl.concat(parts)
            insert_arrow(self._client, table, rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
            due |= touched(table, rows, time.time())
        Totals(self._client).touch(due)
        self._remaker.add(due)


def build(config: LoadConfig, make_performer: MakePerformer = on_kafka) -> Worker:
    """The worker, not yet running."""

    def check(client: Client) -> None:
        require_same_topics(client, lambda: topic_ids(config.worker.kafka(), config.worker.topics))

    log = KafkaLogReader(config.worker.kafka())
    remaker = Remaker(lambda: Totals(config.connect()), die)
    gate = InsertGate(Store(config.connect, remaker, check).write)

    def homes(partition: int) -> Homes:
        grown = growth.finished(read_growths(log))
        return Homes(partition, log.partitions(EVENTS), growth.eras(grown, partition))

    def make_processor(topic: str, partition: int) -> Processor:
        return Loader(topic, partition, gate.insert, homes)

    worker = Worker(
        replace(config.worker, threads=THREADS, niceness=NICENESS, same_log=False), make_processor, make_performer
    )
    worker.notes = remaker.health

    async def begin() -> None:
        # Not with the first page: a dead loader may have left totals due and nothing to load.
        remaker.start()
        watch_topics(config.connect, check, die)

    worker.app.task(begin)
    return worker


def run(config: LoadConfig) -> None:
    """Load until stopped. Raises Misconfigured before the group is joined when it has loaded into another store."""
    require_loaded_here(config.connect(), config.worker.kafka(), config.worker.app_id, (EVENTS, PAGES))
    build(config).run()
