"""What a client heard of its brokers decides what is said of it; and Faust's clients get in the same way."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from support.certificate import certificate
from tokenmeter.events.access import Access
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.credentials import credentials
from tokenmeter.flow.faust.worker import MakeProcessor, Worker
from tokenmeter.kafka.access import refusal, ssl_context

HERE = {"bootstrap.servers": "k:9092"}
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
GONE = KafkaError(KafkaError._TRANSPORT, "k:9092/1: Connect to ipv4#1.2.3.4:9092 failed: Connection refused")
WRONG = KafkaError(
    KafkaError._AUTHENTICATION, "sasl_ssl://k:9092/boot: SASL authentication error: no (after 301ms in state AUTH_REQ)"
)
UNTRUSTED = KafkaError(KafkaError._SSL, "ssl://k:9092/boot: SSL handshake failed: certificate verify failed: (x)")
USER = {**HERE, **Access("ada", "secret").client()}


@pytest.mark.parametrize(
    ("client", "heard", "said"),
    [
        (
            USER,
            [WRONG, DOWN],
            "Kafka at k:9092 refuses user ada: SASL authentication error: no (next: check TOKENMETER",
        ),
        (USER, [GONE, WRONG], "refuses user ada"),
        (USER, [UNTRUSTED], "no TLS with Kafka at k:9092: SSL handshake failed: certificate verify failed"),
        (HERE, [DOWN], "closes the connection of a client without a user"),
        (HERE, [DOWN, GONE], None),
        (USER, [DOWN], None),
        (USER, [GONE, DOWN], None),
        (HERE, [], None),
    ],
)
def test_a_refusal_is_told_from_a_broker_that_is_away(
    client: dict[str, str], heard: list[KafkaError], said: str | None
) -> None:
    found = refusal(client, heard)
    assert (found is None) == (said is None)
    assert said is None or said in str(found)
    assert "secret" not in str(found)


def test_faust_gets_in_as_confluent_kafka_does(tmp_path: Path) -> None:
    _, ca = certificate(tmp_path)
    made = credentials(Access("ada", "secret", "SCRAM-SHA-256", ca=str(ca)).client())
    assert isinstance(made, SASLCredentials)
    auth = credentials_to_aiokafka_auth(made)
    assert auth["security_protocol"] == "SASL_SSL"
    assert auth["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (auth["sasl_plain_username"], auth["sasl_plain_password"]) == ("ada", "secret")
    assert auth["ssl_context"].get_ca_certs(), "it trusts that certificate"
    assert isinstance(credentials(Access(ca=str(ca)).client()), SSLCredentials)
    assert credentials({}) is None
    assert ssl_context(Access("ada", "secret").client()) is None


def test_a_worker_hands_them_to_fausts_consumer_and_producer(tmp_path: Path) -> None:
    make: MakeProcessor = lambda topic, partition: pytest.fail("not owned")  # noqa: E731
    client = Access("ada", "secret").client()
    app = Worker(WorkerConfig("app", "k:9092", ("t",), tmp_path, client=client), make).app
    assert app.conf.broker_credentials.username == "ada"
    assert app.transport.create_producer().credentials is app.conf.broker_credentials
    assert Worker(WorkerConfig("app", "k:9092", ("t",), tmp_path), make).app.conf.broker_credentials is None
