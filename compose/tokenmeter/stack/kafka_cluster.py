"""Several Kafka nodes on this machine as one cluster: its size and its ports are part of its data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.children import stop_together
from tokenmeter.stack.kafka import KafkaNode, NodeIdentity, free_port, random_id
from tokenmeter.stack.kafka_auth import Security

IDENTITIES = "cluster.json"


def require_size(data: Path, brokers: int) -> None:
    """Raises Misconfigured when ``data`` holds a Kafka of another size: a new one beside it would hide its events."""
    if (data / IDENTITIES).exists():
        held = len(json.loads((data / IDENTITIES).read_text("utf-8"))["seats"])
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
        self,
        data: Path,
        logs: Path,
        brokers: int,
        port_of: Callable[[str], int] = lambda name: free_port(),
        security: Security | None = None,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        require_size(data, brokers)
        kept = data / IDENTITIES
        if kept.exists():
            found = json.loads(kept.read_text("utf-8"))
            cluster_id, identities = found["cluster_id"], [NodeIdentity(**identity) for identity in found["seats"]]
        else:
            identities = [
                NodeIdentity.free(number, port_of(f"kafka-{number}"), port_of(f"kafka-{number}-controller"))
                for number in range(1, brokers + 1)
            ]
            cluster_id = random_id()
            kept.write_text(json.dumps({"cluster_id": cluster_id, "seats": [asdict(s) for s in identities]}), "utf-8")
        self.nodes = [
            KafkaNode(
                data / str(s.node_id),
                logs / f"kafka-{s.node_id}.log",
                None,
                s,
                identities,
                cluster_id,
                security=security,
            )
            for s in identities
        ]

    @property
    def bootstrap(self) -> str:
        """host:port of every node."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def client(self) -> dict[str, Any]:
        """Settings of a client that may do everything."""
        return {**self.nodes[0].client, "bootstrap.servers": self.bootstrap}

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
        stop_together([node.child for node in self.nodes if node.child is not None])

    def kill(self) -> None:
        """End all at once."""
        for node in self.nodes:
            node.kill()
