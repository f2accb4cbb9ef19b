"""A world of a test's own: a broker, ClickHouse if asked for, workers and what was sent. It ends as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from support import oracle
from support.broker import broker, eventually, has_read
from support.clickhouse import Server, migrated
from support.stored import stored
from support.workers import WorkerProcess
from tokenmeter.audit import AuditOptions, AuditReport, AuditSources
from tokenmeter.audit import run as audit
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.groups import GROUPS
from tokenmeter.flow.meter.dedup import HORIZON_MINUTES
from tokenmeter.stack.children import stop_together
from tokenmeter.stack.kafka import KafkaNode
from tokenmeter.stack.kafka_cluster import KafkaCluster
from tokenmeter.store.client import connect

WAIT_S = 180.0
"""How long it may take on a busy machine; nothing is asserted of it."""
LOOK_S = 0.25
"""Between two looks at a group's positions, which take a broker 10 ms of CPU each."""


class World:
    """See ``begun``. ``waves`` sends events and remembers them; ``client`` holds the settings of Kafka's clients."""

    def __init__(self, folder: Path, kafka: KafkaNode | KafkaCluster, server: Server | None) -> None:
        self.folder, self.kafka = folder, kafka
        self.bootstrap = kafka.bootstrap
        self.client: dict[str, Any] = {"bootstrap.servers": self.bootstrap}
        self.waves = oracle.Load(self.bootstrap)
        self.workers: list[WorkerProcess] = []
        self._server = server

    @classmethod
    @contextmanager
    def begun(
        cls, folder: Path, partitions: int = 2, *, clickhouse: bool = False, reads: Sequence[str] = ("boards",)
    ) -> Iterator[Self]:
        """Everything runs; ``reads`` as in support.clickhouse. Whatever is left is killed at the end."""
        with ExitStack() as ends:
            server = ends.enter_context(migrated(folder, reads)) if clickhouse else None
            made = cls(folder, ends.enter_context(broker(folder, partitions)), server)
            ends.callback(made.kill)
            made.has_read("meter")  # a young broker does not know its groups yet: it is asked until it does
            yield made

    @property
    def server(self) -> Server:
        assert self._server is not None, "a world without ClickHouse"
        return self._server

    @cached_property
    def store(self) -> Client:
        return connect(self.server.url, "writer", "secret")

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(self.client)

    @property
    def settings(self) -> dict[str, str]:
        """What ``tokenmeter`` must be told to find this world."""
        return {
            "TOKENMETER_KAFKA_BOOTSTRAP": self.bootstrap,
            "TOKENMETER_CLICKHOUSE_URL": self.server.url,
            "TOKENMETER_CLICKHOUSE_USER": "writer",
            "TOKENMETER_CLICKHOUSE_PASSWORD": "secret",
        }

    def worker(self, kind: str, name: str | None = None, **spec: Any) -> WorkerProcess:
        """Start one; under the ``name`` of an earlier one it has that one's folder. ``spec``: support.worker_main."""
        if kind == "load":
            spec.setdefault("clickhouse_url", self.server.url)
        name = name or f"{kind}-{len(self.workers)}"
        self.workers.append(WorkerProcess(self.folder, name, kind, self.bootstrap, **spec))
        return self.workers[-1]

    def stop(self) -> None:
        """Let every worker end by itself, and leave its group."""
        stop_together([worker.child for worker in self.workers])

    def kill(self) -> None:
        """Kill every worker, a frozen one too."""
        for worker in self.workers:
            worker.kill()

    def send(self, events: Iterable[UsageEvent]) -> None:
        """By the SDK, all acknowledged; they are none of ``waves``."""
        with Emitter(self.bootstrap, source="world") as emitter:
            for one in events:
                emitter.emit(one)

    def produce(self, values: Iterable[tuple[str, bytes]], **settings: Any) -> None:
        """Bytes by key on usage.events, all acknowledged; ``settings`` are the producer's."""
        producer = Producer(
            {
                **SILENT,
                **self.client,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "log_level": 2,
                **settings,
            }
        )
        for key, value in values:
            producer.produce(EVENTS, value, key.encode())
            producer.poll(0)
        assert producer.flush(60) == 0

    def delete(self, *topics: str) -> None:
        """Until they are gone."""
        for deleted in self.admin.delete_topics([*topics]).values():
            deleted.result(30)
        eventually("they are gone", lambda: not {*topics} & {*self.admin.list_topics(timeout=10).topics}, WAIT_S)

    def has_read(self, kind: str, *topics: str) -> bool:
        """Whether the workers of a kind have committed every record of ``topics``, or of all theirs."""
        return all(has_read(self.bootstrap, GROUPS[kind].id, topic) for topic in topics or GROUPS[kind].topics)

    def wait_read(self, kind: str, *topics: str, timeout_s: float = WAIT_S) -> None:
        """Until ``has_read``."""
        logs = [str(worker.log) for worker in self.workers if worker.child.is_alive()]
        for topic in topics or GROUPS[kind].topics:
            eventually(f"{kind} has read {topic}; {logs}", lambda t=topic: self.has_read(kind, t), timeout_s, LOOK_S)

    def metered(self) -> oracle.Verdict:
        """Lines, pages, quarantine and money held against the waves."""
        return oracle.metered(self.bootstrap, self.waves.sent, self.waves.repeated)

    def stored(self, wait_s: float = WAIT_S) -> oracle.Verdict:
        """ClickHouse held against the waves and the topics. Totals and other topics come at their own pace: what is
        still wrong after ``wait_s`` is returned."""
        found = oracle.Verdict()

        def agrees() -> bool:
            nonlocal found
            found = stored(self.store, self.bootstrap, self.waves.sent)
            return not found.problems()

        with suppress(AssertionError):
            eventually("the tables agree", agrees, wait_s, 0.5)
        return found

    def check(self, wait_s: float = WAIT_S) -> oracle.Verdict:
        """Both, as far as there is a ClickHouse."""
        return self.metered() | (self.stored(wait_s) if self._server is not None else oracle.Verdict())

    def audit(self, horizon_ms: int = HORIZON_MINUTES * 60_000, clickhouse: bool = True, **options: Any) -> AuditReport:
        """The recount of this log, in this process unless told; ``options`` as in AuditOptions."""
        url = self._server.url if clickhouse and self._server is not None else None
        return audit(
            AuditSources(self.client, url, "writer", "secret", horizon_ms), AuditOptions(**{"processes": 1, **options})
        )
