"""A world to break things in: brokers, workers, ClickHouse and steady traffic, all real processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from support import oracle
from support.broker import eventually, read_all
from support.clickhouse import Server, migrated
from support.proxy import Proxy
from support.traffic import Traffic
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import BILLING, EVENTS
from tokenmeter.events.groups import LOAD, METER
from tokenmeter.stack.kafka_cluster import KafkaCluster
from tokenmeter.stack.topics import ensure_topics

BROKERS = 3
PARTITIONS = 2
RECOVERY_S = 180.0
"""Whoever asks a broker that is frozen asks another after a minute; nothing is asserted of it."""
SETTLE_S = 120.0
TOTALS_S, TOTALS_LOST_S = 180.0, 20.0
"""Totals and other topics are loaded at their own pace; what a mutant lost never comes."""


class Progress:
    """Where a group stands on a topic, asked over one connection."""

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: int) -> None:
        self._partitions = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, **SILENT, "group.id": group, "enable.auto.commit": False, "log_level": 0}
        )
        self._last = 0

    def offsets(self) -> int:
        """The sum of its committed offsets; the last known one while Kafka does not answer."""
        with suppress(KafkaException):
            self._last = sum(max(0, found.offset) for found in self._consumer.committed(self._partitions, 3))
        return self._last


@dataclass
class _Kept:
    """A worker that is started again when it ends, as the local stack does."""

    kind: str
    spec: dict[str, Any]
    process: WorkerProcess
    deaths: int = 0


class Arena(World):
    """See ``arena``; ``traffic`` takes the place of waves. Whatever starts processes runs in the main thread: they die
    with it."""

    def __init__(
        self, folder: Path, cluster: KafkaCluster, server: Server | None, traffic: Traffic, partitions: int
    ) -> None:
        super().__init__(folder, cluster, server)
        self.cluster, self.traffic = cluster, traffic
        self.proxy = Proxy(int(server.url.rsplit(":", 1)[1])) if server is not None else None
        self.meters = Progress(self.bootstrap, METER.id, EVENTS, partitions)
        self.loaders = Progress(self.bootstrap, LOAD.id, BILLING, partitions)
        self._kept: dict[str, _Kept] = {}
        self.recoveries: list[float] = []

    def worker(self, kind: str, name: str | None = None, **spec: Any) -> WorkerProcess:
        """A loader reaches ClickHouse through the proxy."""
        if kind == "load" and self.proxy is not None:
            spec.setdefault("clickhouse_url", f"http://127.0.0.1:{self.proxy.port}")
        return super().worker(kind, name, **spec)

    def keep(self, kind: str, slot: str = "1", **spec: Any) -> None:
        """Start a worker and start it again whenever it ends; see tick."""
        spec["slot"] = f"{kind}-{slot}"
        self._kept[spec["slot"]] = _Kept(kind, spec, self.worker(kind, **spec))

    def kept(self, slot: str) -> WorkerProcess:
        return self._kept[slot].process

    def tick(self) -> None:
        """Start again what has ended."""
        for kept in self._kept.values():
            if not kept.process.child.is_alive():
                kept.deaths += 1
                kept.process = self.worker(kept.kind, **kept.spec)

    def until(self, what: str, holds: Callable[[], Any], timeout_s: float = RECOVERY_S) -> None:
        """eventually(), with the workers kept alive meanwhile."""

        def polled() -> Any:
            self.tick()
            return holds()

        eventually(what, polled, timeout_s)

    def recover(self, progress: Progress, since: float | None = None) -> None:
        """Wait until ``progress`` has gone on, and note how long after ``since`` (monotonic seconds) it did."""
        began, before = since or time.monotonic(), progress.offsets()
        self.until("work goes on", lambda: progress.offsets() > before)
        self.recoveries.append(time.monotonic() - began)

    def settle(self, totals_s: float = TOTALS_S) -> oracle.Verdict:
        """Stop the traffic, let everything catch up, and judge what is there."""
        self.traffic.stop()
        self._until_end(self.meters, EVENTS)
        if self.proxy is not None:
            self._until_end(self.loaders, BILLING)
        self.waves.sent, self.waves.repeated = self.traffic.sent, self.traffic.repeated
        return self.check(totals_s)

    def _until_end(self, progress: Progress, topic: str) -> None:
        ends = {record.partition: record.offset + 1 for record in read_all(self.bootstrap, topic)}
        self.until(f"{topic} is done to its end", lambda: progress.offsets() >= sum(ends.values()), SETTLE_S)


@contextmanager
def arena(
    folder: Path,
    *,
    clickhouse: bool = False,
    rate: int = 400,
    client_config: dict[str, Any] | None = None,
    partitions: int = PARTITIONS,
) -> Iterator[Arena]:
    """Three brokers with the topics of the contract, traffic, ClickHouse if asked for; all killed at the end."""
    cluster = KafkaCluster(folder / "kafka", folder, BROKERS)
    with ExitStack() as ends:
        server = ends.enter_context(migrated(folder)) if clickhouse else None
        ends.callback(cluster.kill)
        cluster.start()
        ensure_topics({"bootstrap.servers": cluster.bootstrap}, partitions)
        world = Arena(folder, cluster, server, Traffic(cluster.bootstrap, rate, client_config), partitions)
        if world.proxy is not None:
            ends.callback(world.proxy.close)
        ends.callback(world.kill)
        ends.callback(world.traffic.end)
        world.traffic.start()
        yield world
