"""Fault: the loader is killed between its insert and its commit. Invariant: every event is in ClickHouse once.

The twin acknowledges a page before it inserts it; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from support import oracle
from support.broker import broker, eventually, read_all
from support.clickhouse import Server
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.events import decode
from tokenmeter.events.contract import BILLING, MARKET, PAGES, QUANTITY_FIELDS
from tokenmeter.flow.load import TABLES
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate
from tokenmeter.store.queries import totals

TIMEOUT_S = 60.0


class Rig:
    """A broker, a ClickHouse, a meter that works well and loaders to break."""

    def __init__(self, folder: Path, bootstrap: str, server: Server) -> None:
        self.folder, self.bootstrap, self.server = folder, bootstrap, server
        self.client = connect(server.url, "writer", "secret")
        migrate(self.client)
        self.load = oracle.Load(bootstrap)

    def loader(self, name: str, point: Point | None = None, twin: str | None = None) -> WorkerProcess:
        url = self.server.url
        return WorkerProcess(
            self.folder, name, "load", self.bootstrap, slot="1", point=point, twin=twin, clickhouse_url=url
        )

    def ids(self) -> list[str]:
        """The customers of the stored rows, repeats left out as the table does."""
        rows = self.client.query("SELECT customer_id FROM tokenmeter.usage_events FINAL").result_rows
        return sorted(row[0] for row in rows)

    def complete(self) -> bool:
        """Whether the loader has committed to the end of every topic (the last offset may be a marker)."""
        return all(self._caught_up(topic) for topic in TABLES)

    def _caught_up(self, topic: str) -> bool:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "tokenmeter-load"})
        try:
            last = {record.partition: record.offset for record in read_all(self.bootstrap, topic)}
            committed = consumer.committed([TopicPartition(topic, partition) for partition in last], 10)
            return all(found.offset > last[found.partition] for found in committed)
        finally:
            consumer.close()

    def problems(self) -> list[str]:
        """What ClickHouse has wrongly, compared with what was sent and with the topics."""
        found = []
        wanted = sorted(one.customer_id for one in self.load.sent)
        stored = self.ids()
        if lost := set(wanted) - set(stored):
            found.append(f"lost: {len(lost)} events")
        if len(stored) != len(set(stored)):
            found.append(f"doubled: {len(stored) - len(set(stored))} events")
        for topic in (BILLING, MARKET, PAGES):
            rows = [decode(record.value).record for record in read_all(self.bootstrap, topic)]
            expected = {field: sum(row[field] for row in rows) for field in ("events", *QUANTITY_FIELDS)}
            actual = totals(self.client, TABLES[topic][1].removeprefix("usage_"))
            for field, value in expected.items():
                if field in actual and actual[field] != value:
                    found.append(f"{topic}.{field}: {value} on the topic, {actual[field]} stored")
        return found


def die_once(folder: Path, point: Point, twin: str | None = None) -> list[str]:
    """Let the loader die at ``point`` under load, start it again, let it finish; returns what is wrong."""
    server = Server(folder)
    server.start()
    try:
        with broker(folder) as kafka:
            rig = Rig(folder, kafka.bootstrap, server)
            meter = WorkerProcess(folder, "meter", "meter", kafka.bootstrap, slot="1")
            first = rig.loader("first", point, twin)
            eventually(f"it dies; {first.log}", lambda: rig.load.wave() and not first.child.is_alive(), every_s=0.3)
            assert first.child.returncode == -signal.SIGKILL, first.child.log_tail()
            rig.load.wave()
            second = rig.loader("second", twin=twin)
            try:
                eventually("the meter is done", lambda: rig.load.problems() == [], TIMEOUT_S, 1.0)
                eventually(f"all is loaded; {second.log}", rig.complete, TIMEOUT_S, 0.5)
            finally:
                second.kill()
                meter.kill()
            return rig.problems()
    finally:
        server.child.kill()


@pytest.mark.parametrize("point", [Point("Close", "after", 4), Point("Commit", "before", 4)], ids=str)
def test_a_loader_killed_between_insert_and_commit_stores_everything_once(tmp_path: Path, point: Point) -> None:
    assert die_once(tmp_path, point) == []


def test_the_same_check_finds_what_a_commit_before_the_insert_loses(tmp_path: Path) -> None:
    found = die_once(tmp_path, Point("Committed", "before", 4), "ack_first")
    assert found
