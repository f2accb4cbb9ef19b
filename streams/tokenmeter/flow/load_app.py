"""The ``load`` worker: every topic of ours into ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tokenmeter.flow.load import TABLES, Loader
from tokenmeter.flow.page import Processor
from tokenmeter.flow.worker import MakeDriver, Worker, WorkerConfig, kafka_driver
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow

APP_ID = "tokenmeter-load"
PAGE_SECONDS = 1.0
"""Younger than the meter's pages: what is metered should be seen soon."""
PAGE_EVENTS = 100_000
DATABASE = "tokenmeter"


@dataclass(frozen=True)
class LoadConfig:
    """Where the rows go; the user must be able to insert into the tokenmeter database."""

    worker: WorkerConfig
    clickhouse_url: str
    clickhouse_user: str
    clickhouse_password: str


def build(config: LoadConfig, make_driver: MakeDriver = kafka_driver) -> Worker:
    """The worker, not yet running. One ClickHouse client per partition: a client serves one thread at a time."""

    def make_processor(topic: str, partition: int) -> Processor:
        client = connect(config.clickhouse_url, config.clickhouse_user, config.clickhouse_password, database=DATABASE)

        def insert(table: str, frame: pl.DataFrame) -> None:
            insert_arrow(client, table, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))

        return Loader(topic, partition, insert)

    return Worker(config.worker, make_processor, make_driver)


def run(config: LoadConfig) -> None:
    """Load until stopped."""
    build(config).run()


TOPICS: tuple[str, ...] = tuple(TABLES)
