"""Real Apache Kafka on this machine: one KRaft node or several, loopback only, data kept between runs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.stack.children import STOP_TIMEOUT_S, Child
from tokenmeter.stack.jvm import archive, java

HEAP_MB = 768
"""Of a single node; several share the machine, and have a third less each."""
START_TIMEOUT_S = 60.0
ARCHIVE_TIMEOUT_S = 180.0
"""A node that stops writes the archive of its classes within this time."""
SEATS = "cluster.json"
REPLICATION_MAX = 3
"""More copies than this protect against nothing that happens to one machine."""
INTERNAL_PARTITIONS = 8
"""Of Kafka's own topics, for a handful of groups; its default of 50 each is for clusters, and costs at every start."""
_LOG4J = """rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=Console
appender.console.type=Console
appender.console.name=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
"""
_PROPERTIES = """process.roles=broker,controller
node.id={node_id}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={controllers}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}/log
auto.create.topics.enable=false
offsets.topic.num.partitions={internal_partitions}
offsets.topic.replication.factor={replication}
transaction.state.log.num.partitions={internal_partitions}
transaction.state.log.replication.factor={replication}
transaction.state.log.min.isr={min_isr}
share.coordinator.state.topic.replication.factor={replication}
share.coordinator.state.topic.min.isr={min_isr}
group.initial.rebalance.delay.ms=0
"""


def free_port() -> int:
    """A port nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _random_id() -> str:
    """A cluster or directory id as Kafka writes them; one that began with a dash would read as an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def min_insync(replication: int) -> int:
    """Copies that must have an event before it is acknowledged: one may be away."""
    return max(1, replication - 1)


@dataclass(frozen=True)
class Seat:
    """A node's place in its cluster: what the others know it by, so it is kept with the data."""

    node_id: int
    port: int
    controller_port: int
    directory_id: str

    @classmethod
    def free(cls, node_id: int, port: int | None = None, controller_port: int | None = None) -> Seat:
        return cls(node_id, port or free_port(), controller_port or free_port(), _random_id())


class KafkaNode:
    """A broker over ``data``. start() returns once it answers; stop() and kill() end it, the data stays.

    ``seats`` are those of its whole cluster, its own among them; alone it is a cluster of one. With ``archive`` it
    leaves an archive of its classes there when it stops.
    """

    def __init__(
        self,
        data: Path,
        log: Path,
        port: int | None = None,
        seat: Seat | None = None,
        seats: Sequence[Seat] = (),
        cluster_id: str | None = None,
        archive: Path | None = None,
    ) -> None:
        self._archive = archive
        self._data = data.absolute()
        self._seat = seat or Seat.free(1, port)
        self._seats = tuple(seats) or (self._seat,)
        self._cluster_id = cluster_id or _random_id()
        self._log = log
        self.child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self._seat.port}"

    @property
    def node_id(self) -> int:
        """What the cluster calls it."""
        return self._seat.node_id

    def start(self) -> None:
        """Format the storage on first use, start the broker, wait for it. Raises Fatal naming the log."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Format the storage on first use and start the broker, without waiting for it."""
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self._data / "server.properties"
        replication = min(len(self._seats), REPLICATION_MAX)
        text = _PROPERTIES.format(
            node_id=self._seat.node_id,
            port=self._seat.port,
            controller_port=self._seat.controller_port,
            controllers=",".join(f"127.0.0.1:{seat.controller_port}" for seat in self._seats),
            data=self._data,
            internal_partitions=INTERNAL_PARTITIONS,
            replication=replication,
            min_isr=min_insync(replication),
        )
        properties.write_text(text, "utf-8")
        (self._data / "log4j2.properties").write_text(_LOG4J, "utf-8")
        if not (self._data / "log" / "meta.properties").exists():
            self._format(properties)
        heap_mb = HEAP_MB if len(self._seats) == 1 else HEAP_MB * 2 // 3
        heap = (f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m")
        command = [*java(self._archive), self._log4j(), *heap, "kafka.Kafka", str(properties)]
        self.child = Child(f"kafka {self._seat.node_id}", command, self._log)
        self.child.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop cleanly."""
        if self.child is not None:
            self.child.stop(timeout_s)

    def kill(self) -> None:
        """End at once, as a power cut would."""
        if self.child is not None:
            self.child.kill()

    def _log4j(self) -> str:
        return f"-Dlog4j2.configurationFile={self._data / 'log4j2.properties'}"

    def _format(self, properties: Path) -> None:
        command = [*java(), self._log4j(), "kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster_id}"]
        if len(self._seats) == 1:
            command.append("--standalone")
        else:
            voters = (f"{s.node_id}@127.0.0.1:{s.controller_port}:{s.directory_id}" for s in self._seats)
            command += ["--initial-controllers", ",".join(voters)]
        done = subprocess.run([*command, "--config", str(properties)], capture_output=True, text=True)
        if done.returncode:
            raise Fatal(f"cannot format Kafka's storage in {self._data}: {(done.stderr or done.stdout).strip()[-500:]}")

    def wait(self) -> None:
        """Until it answers and knows every node of its cluster. Raises Fatal naming the log."""
        assert self.child is not None
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.child.is_alive():
                raise Fatal(
                    f"Kafka ended while starting; its log ends with: {self.child.log_tail()}", hint=f"see {self._log}"
                )
            try:
                if len(admin.list_topics(timeout=2).brokers) == len(self._seats):
                    return
            except KafkaException:
                pass
            time.sleep(0.1)
        self.kill()
        raise Fatal(f"Kafka did not answer on {self.bootstrap} within {START_TIMEOUT_S:.0f} s", hint=f"see {self._log}")


def write_archive() -> None:
    """Start a node in a folder that goes again, and keep the classes it loaded. Raises Fatal when it left none."""
    target = archive()
    with TemporaryDirectory(prefix="tokenmeter-kafka-", dir=target.parent) as name:
        folder = Path(name)
        written = folder / target.name
        node = KafkaNode(folder / "data", folder / "kafka.log", archive=written)
        node.start()
        node.stop(ARCHIVE_TIMEOUT_S)
        if not written.exists():
            assert node.child is not None
            raise Fatal(
                f"Java left no archive of Kafka's classes; its log ends with: {node.child.log_tail()}",
                hint="make setup, for another try",
            )
        written.replace(target)


def require_size(data: Path, brokers: int) -> None:
    """Raises Misconfigured when ``data`` holds a Kafka of another size: a new one beside it would hide its events."""
    if (data / SEATS).exists():
        held = len(json.loads((data / SEATS).read_text("utf-8"))["seats"])
    elif (data / "log").exists():
        held = 1
    else:
        return
    if held != brokers:
        raise Misconfigured(
            f"{data} holds a Kafka of {held} broker(s), not {brokers}",
            hint=f"--brokers {held}, or another directory with --data DIR",
        )


class KafkaCluster:
    """``brokers`` nodes over ``data``, each also a controller: with three, any one may be away.

    A cluster's ports are part of it and are kept in ``data``; its size cannot be changed afterwards. ``port_of``
    chooses those of ``kafka-1``, ``kafka-1-controller`` and so on, for a new one.
    """

    def __init__(
        self, data: Path, logs: Path, brokers: int, port_of: Callable[[str], int] = lambda name: free_port()
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        require_size(data, brokers)
        kept = data / SEATS
        if kept.exists():
            found = json.loads(kept.read_text("utf-8"))
            cluster_id, seats = found["cluster_id"], [Seat(**seat) for seat in found["seats"]]
        else:
            seats = [
                Seat.free(number, port_of(f"kafka-{number}"), port_of(f"kafka-{number}-controller"))
                for number in range(1, brokers + 1)
            ]
            cluster_id = _random_id()
            kept.write_text(json.dumps({"cluster_id": cluster_id, "seats": [asdict(s) for s in seats]}), "utf-8")
        self.nodes = [
            KafkaNode(data / str(s.node_id), logs / f"kafka-{s.node_id}.log", None, s, seats, cluster_id) for s in seats
        ]

    @property
    def bootstrap(self) -> str:
        """host:port of every node."""
        return ",".join(node.bootstrap for node in self.nodes)

    def start(self) -> None:
        """Start every node, then wait for each: none answers before most are there."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop cleanly, all together: the last of them, left alone, would wait for a majority that does not return."""
        for node in self.nodes:
            if node.child is not None:
                node.child.signal(signal.SIGTERM)
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """End all at once."""
        for node in self.nodes:
            node.kill()
