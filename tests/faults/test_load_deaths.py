"""Fault: the loader is killed between its insert and its commit. Invariant: every event is in ClickHouse once,
and totals = recount.

The twin acknowledges a page before it inserts it; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from support import oracle
from support.broker import broker, eventually, read_all
from support.clickhouse import Server
from support.stored import stored
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.flow.load.load import TABLES
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

TIMEOUT_S = 180.0
TOTALS_S, TOTALS_LOST_S = 400.0, 20.0
"""Totals may come this long after their lines; what a twin lost never comes."""


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

    def problems(self, wait_s: float) -> list[str]:
        """What ClickHouse has wrongly, compared with what was sent and with the topics, in the end."""
        found: list[str] = []

        def none() -> bool:
            found[:] = stored(self.client, self.bootstrap, self.load.sent).problems()
            return not found

        with suppress(AssertionError):
            eventually("nothing is wrong", none, wait_s, 0.5)
        return found


def dead(load: oracle.Load, worker: WorkerProcess) -> bool:
    """Whether it is, after one more wave."""
    load.wave()
    return not worker.child.is_alive()


def die_at(folder: Path, points: list[Point], twin: str | None = None) -> list[str]:
    """Let one loader after another die under load, each at a point of its own; the last one finishes. Returns what is
    wrong afterwards."""
    server = Server(folder)
    server.start()
    try:
        with broker(folder) as kafka:
            rig = Rig(folder, kafka.bootstrap, server)
            meter = WorkerProcess(folder, "meter", "meter", kafka.bootstrap, slot="1")
            for number, point in enumerate(points):
                dying = rig.loader(f"dying-{number}", point, twin)
                eventually(
                    f"it dies {point}; {dying.log}",
                    partial(dead, rig.load, dying),
                    TIMEOUT_S,
                    every_s=0.3,
                )
                assert dying.child.returncode == -signal.SIGKILL, dying.child.log_tail()
                rig.load.wave()
            last = rig.loader("last", twin=twin)
            try:
                eventually("the meter is done", lambda: rig.load.problems() == [], TIMEOUT_S, 1.0)
                eventually(f"all is loaded; {last.log}", rig.complete, TIMEOUT_S, 0.5)
                return rig.problems(TOTALS_LOST_S if twin else TOTALS_S)
            finally:
                last.kill()
                meter.kill()
    finally:
        server.child.kill()


POINTS = [Point("Close", "after", 4), Point("Commit", "before", 4), Point("Committed", "before", 4)]


def test_a_loader_killed_between_insert_and_commit_stores_everything_once(tmp_path: Path) -> None:
    assert die_at(tmp_path, POINTS) == []


def test_the_same_check_finds_what_a_commit_before_the_insert_loses(tmp_path: Path) -> None:
    found = die_at(tmp_path, [Point("Committed", "before", 4)], "ack_first")
    assert found
