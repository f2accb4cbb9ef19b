"""Real Apache Kafka on this machine: one KRaft node or several, loopback only, data kept between runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import STOP_TIMEOUT_S, Child
from tokenmeter.stack.jvm import archive, java
from tokenmeter.stack.kafka_auth import Security
from tokenmeter.stack.kafka_version import note_version, require_readable
from tokenmeter.stack.state import write_private_text

HEAP_MB = 768
"""Of a single node; several share the machine, and have a third less each."""
START_TIMEOUT_S = 60.0
ARCHIVE_TIMEOUT_S = 180.0
"""A node that stops writes the archive of its classes within this time."""
REPLICATION_MAX = 3
"""More copies than this protect against nothing that happens to one machine."""
SESSION_TIMEOUT_MS = 5_000
"""Of a node that is alone: one that was killed may register again when its old session has ended, after Kafka's 9 s by
default, 11 s in all; with this it is back after 6. Several nodes keep the default: there it decides who leads."""
HEARTBEAT_MS = 1_000
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
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENTS://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={controllers}
listener.security.protocol.map=CONTROLLER:{controller_protocol},CLIENTS:{protocol}
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
{session}{security}"""

_ALONE = f"broker.session.timeout.ms={SESSION_TIMEOUT_MS}\nbroker.heartbeat.interval.ms={HEARTBEAT_MS}\n"
_OPEN = "inter.broker.listener.name=CLIENTS\n"


def free_port() -> int:
    """A port nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def random_id() -> str:
    """A cluster or directory id as Kafka writes them; one that began with a dash would read as an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def min_insync(replication: int) -> int:
    """Copies that must have an event before it is acknowledged: one may be away."""
    return max(1, replication - 1)


@dataclass(frozen=True)
class NodeIdentity:
    """A node's place in its cluster: what the others know it by, so it is kept with the data."""

    node_id: int
    port: int
    controller_port: int
    directory_id: str

    @classmethod
    def free(cls, node_id: int, port: int | None = None, controller_port: int | None = None) -> NodeIdentity:
        return cls(node_id, port or free_port(), controller_port or free_port(), random_id())


class KafkaNode:
    """A broker over ``data``. start() returns once it answers; stop() and kill() end it, the data stays.

    ``identities`` are those of its whole cluster, its own among them; alone it is a cluster of one. With ``archive`` it
    leaves an archive of its classes there when it stops. Without ``security`` it asks nobody for a password.
    """

    def __init__(
        self,
        data: Path,
        log: Path,
        port: int | None = None,
        identity: NodeIdentity | None = None,
        identities: Sequence[NodeIdentity] = (),
        cluster_id: str | None = None,
        archive: Path | None = None,
        security: Security | None = None,
    ) -> None:
        self._security = security
        self._archive = archive
        self._data = data.absolute()
        self._identity = identity or NodeIdentity.free(1, port)
        self._identities = tuple(identities) or (self._identity,)
        self._cluster_id = cluster_id or random_id()
        self._log = log
        self.child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self._identity.port}"

    @property
    def client(self) -> dict[str, Any]:
        """Settings of a client that may do everything."""
        return {"bootstrap.servers": self.bootstrap, **(self._security.client() if self._security else {})}

    @property
    def properties(self) -> Path:
        """Its configuration, which holds the nodes' password."""
        return self._data / "server.properties"

    @property
    def node_id(self) -> int:
        """What the cluster calls it."""
        return self._identity.node_id

    def start(self) -> None:
        """Format the storage on first use, start the broker, wait for it. Raises Fatal naming the log."""
        self.launch()
        self.wait()

    def prepare(self) -> None:
        """Write its configuration and, on first use, format its storage. Raises Fatal when that fails."""
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self.properties
        replication = min(len(self._identities), REPLICATION_MAX)
        text = _PROPERTIES.format(
            node_id=self._identity.node_id,
            port=self._identity.port,
            controller_port=self._identity.controller_port,
            controllers=",".join(f"127.0.0.1:{identity.controller_port}" for identity in self._identities),
            data=self._data,
            internal_partitions=INTERNAL_PARTITIONS,
            replication=replication,
            min_isr=min_insync(replication),
            protocol=self._security.protocol if self._security else "PLAINTEXT",
            controller_protocol="SASL_PLAINTEXT" if self._security else "PLAINTEXT",
            session=_ALONE if len(self._identities) == 1 else "",
            security=self._security.properties() if self._security else _OPEN,
        )
        write_private_text(properties, text)
        (self._data / "log4j2.properties").write_text(_LOG4J, "utf-8")
        if (self._data / "log" / "meta.properties").exists():
            require_readable(self._data)
        else:
            self._format(properties)
            note_version(self._data)

    def launch(self) -> None:
        """Prepare it and start the broker, without waiting for it."""
        self.prepare()
        heap_mb = HEAP_MB if len(self._identities) == 1 else HEAP_MB * 2 // 3
        heap = (f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m")
        command = [*java(self._archive), self._log4j(), self._scratch(), *heap, "kafka.Kafka", str(self.properties)]
        self.child = Child(f"kafka {self._identity.node_id}", command, self._log)
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

    def _scratch(self) -> str:
        """A folder of its own for the libraries that it unpacks: one that is killed leaves them there."""
        scratch = self._data / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700, exist_ok=True)
        return f"-Djava.io.tmpdir={scratch}"

    def _format(self, properties: Path) -> None:
        command = [*java(), self._log4j(), "kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster_id}"]
        if len(self._identities) == 1:
            command.append("--standalone")
        else:
            voters = (f"{s.node_id}@127.0.0.1:{s.controller_port}:{s.directory_id}" for s in self._identities)
            command += ["--initial-controllers", ",".join(voters)]
        done = subprocess.run([*command, "--config", str(properties)], capture_output=True, text=True)
        if done.returncode:
            raise Fatal(f"cannot format Kafka's storage in {self._data}: {(done.stderr or done.stdout).strip()[-500:]}")

    def wait(self) -> None:
        """Until it answers and knows every node of its cluster. Raises Fatal naming the log."""
        assert self.child is not None
        admin = AdminClient({**self.client, "log_level": 0})
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.child.is_alive():
                raise Fatal(
                    f"Kafka ended while starting; its log ends with: {self.child.log_tail()}", hint=f"see {self._log}"
                )
            try:
                if len(admin.list_topics(timeout=2).brokers) == len(self._identities):
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
