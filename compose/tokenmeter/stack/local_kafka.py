"""The Kafka of a local stack: nodes of its own, or the brokers that are set; and how each part gets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenmeter.cli.settings import Settings
from tokenmeter.events.access import ADMIN, Access, Users
from tokenmeter.stack.kafka import KafkaNode, NodeIdentity
from tokenmeter.stack.kafka_auth import NODE, Security, open_to, passwords
from tokenmeter.stack.kafka_cluster import KafkaCluster, require_size
from tokenmeter.stack.ports import Ports
from tokenmeter.stack.topics import ensure_topics


class LocalKafka:
    """``nodes``: those that run as children, by the names of their parts; empty where Kafka is given by address."""

    def __init__(self, settings: Settings, data: Path, logs: Path) -> None:
        self._settings, self._data, self._logs = settings, data, logs
        self._users: Users | None = None
        self.bootstrap = settings.kafka_bootstrap or ""
        self.nodes: dict[str, KafkaNode] = {}

    def start(self, ports: Ports) -> None:
        """Start the nodes, if any; they ask for passwords unless the settings say otherwise."""
        if self._settings.kafka_bootstrap is not None:
            return
        words = passwords(self._data) if self._settings.kafka_auth else {}
        kafka = self._make(ports, Security(words[NODE]) if words else None)
        kafka.start()
        self.bootstrap = kafka.bootstrap
        several = isinstance(kafka, KafkaCluster)
        nodes = kafka.nodes if isinstance(kafka, KafkaCluster) else [kafka]
        self.nodes = {f"kafka-{node.node_id}" if several else "kafka": node for node in nodes}
        self._users = open_to(kafka.client, self._data, words)

    def make_topics(self) -> None:
        """Those of the contract; see ensure_topics."""
        # The users are so young that a node may not have heard of them: it knows itself.
        node = next(iter(self.nodes.values()), None)
        client = self.client if node is None else {**node.client, "bootstrap.servers": self.bootstrap}
        ensure_topics(client, self._settings.partitions, self._settings.replication)

    def access(self, role: str) -> Access:
        """How a part gets in: as set, or as the user of its role."""
        return self._settings.kafka_access() if self._users is None else self._users.access(role)

    @property
    def login(self) -> tuple[str | None, str | None]:
        """Who may do everything, if it asks; the password of a Kafka given by address is the settings' alone."""
        return (None, None) if self._users is None else (ADMIN, self._users.passwords[ADMIN])

    @property
    def client(self) -> dict[str, Any]:
        """Settings of Kafka's clients, for who may do everything."""
        return {"bootstrap.servers": self.bootstrap, **self.access(ADMIN).client(), "log_level": 2}

    def _make(self, ports: Ports, security: Security | None) -> KafkaNode | KafkaCluster:
        brokers = self._settings.brokers
        require_size(self._data / "kafka", brokers)
        if brokers == 1:
            identity = NodeIdentity.free(1, ports.port("kafka"), ports.port("kafka-controller"))
            return KafkaNode(self._data / "kafka", self._logs / "kafka.log", identity=identity, security=security)
        return KafkaCluster(self._data / "kafka", self._logs, brokers, ports.port, security)
