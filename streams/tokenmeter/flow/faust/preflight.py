"""What a worker checks before it starts, so that a wrong setting is one message and not a log full of retries."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.kafka.group import asking

KAFKA_TIMEOUT_S = 20.0


def port_is_free(host: str, port: int) -> None:
    """Raises Misconfigured naming the port when another process listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Misconfigured(
                f"cannot serve /health and /metrics on {host}:{port}: {error.strerror}", hint="choose another --port"
            ) from error


def topics_exist(client: Mapping[str, Any], topics: Iterable[str]) -> None:
    """Raises Fatal when Kafka does not answer, Misconfigured naming the topics that are missing."""
    try:
        with asking(client, "tokenmeter-preflight", {"log_level": 0}) as consumer:
            there = consumer.list_topics(timeout=KAFKA_TIMEOUT_S).topics
    except KafkaException as error:
        raise Fatal(
            f"Kafka at {client['bootstrap.servers']} does not answer: {error.args[0].str()}",
            hint="check TOKENMETER_KAFKA_BOOTSTRAP, or: tokenmeter status",
        ) from error
    if missing := [topic for topic in topics if topic not in there]:
        raise Misconfigured(f"Kafka has no topic {', '.join(missing)}", hint="tokenmeter topics")
