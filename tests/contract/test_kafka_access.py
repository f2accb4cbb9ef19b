"""A Kafka that asks for TLS, a password and rights, as production's does: the parts work from settings alone, a wrong
password is one line, and each role may do what its work needs and nothing else. One broker for all of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from support.broker import eventually
from support.certificate import certificate
from support.clickhouse import Server, migrated
from support.command import COMMAND, run
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent
from tokenmeter.events.access import ADMIN, Access
from tokenmeter.events.contract import ACCOUNT_STATE, BILLING, CATALOG, EVENTS, GROWTH, LEDGER, MARKET, PAGES
from tokenmeter.events.errors import Misconfigured, Undelivered
from tokenmeter.kafka.access import require_access
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import KafkaNode, free_port
from tokenmeter.stack.kafka_auth import NODE, Security, passwords
from tokenmeter.stack.roles import OURS, ROLES, provision
from tokenmeter.stack.topics import ensure_topics
from tokenmeter.store.client import connect

WAIT_S = 120.0
EVENTS_SENT = 50
AT_ONCE = 6
"""Operations that are tried side by side: each waits for the broker most of its time."""
VERBS = ("meter", "load", "gateway", "audit", "reconcile")


@dataclass
class Locked:
    """The broker, who trusts it, and the passwords of its users."""

    node: KafkaNode
    ca: Path
    words: dict[str, str]

    def access(self, role: str) -> Access:
        return Access(role, self.words[role], ca=str(self.ca))

    def client(self, role: str) -> dict[str, Any]:
        return {"bootstrap.servers": self.node.bootstrap, **self.access(role).client(), "log_level": 0}

    def settings(self, role: str) -> dict[str, str]:
        return {
            "TOKENMETER_KAFKA_BOOTSTRAP": self.node.bootstrap,
            "TOKENMETER_KAFKA_USER": role,
            "TOKENMETER_KAFKA_PASSWORD": self.words[role],
            "TOKENMETER_KAFKA_CA": str(self.ca),
        }


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    pem, ca = certificate(folder)
    words = passwords(folder)
    node = KafkaNode(folder / "kafka", folder / "kafka.log", security=Security(words[NODE], pem, ca))
    node.start()
    try:
        provision(node.client, {user: word for user, word in words.items() if user != NODE})
        ensure_topics(node.client, 2)
        yield Locked(node, ca, words)
    finally:
        node.kill()


def event(number: int) -> UsageEvent:
    call = {"customer_id": f"c{number % 5}", "model": "a/b", "provider": "p", "input_tokens": 3, "output_tokens": 1}
    return UsageEvent(event_id=str(uuid.uuid4()), occurred_at=datetime.now(UTC), **call)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with migrated(tmp_path) as server:
        yield server


def test_every_part_works_from_settings_alone_and_says_a_wrong_password_in_one_line(
    kafka: Locked, server: Server, tmp_path: Path
) -> None:
    store = {
        "TOKENMETER_CLICKHOUSE_URL": server.url,
        "TOKENMETER_CLICKHOUSE_USER": "writer",
        "TOKENMETER_CLICKHOUSE_PASSWORD": "secret",
        "TOKENMETER_DATA": str(tmp_path),
    }
    children = []

    def start(verb: str, role: str) -> int:
        port = free_port()
        env = {**store, **kafka.settings(role)}
        child = Child(verb, [*COMMAND, verb, "--port", str(port)], tmp_path / f"{verb}.log", env)
        child.start()
        children.append(child)
        return port

    try:
        for verb in ("meter", "load"):
            start(verb, "workers")
        port = start("gateway", "gateway")
        by_sdk = Emitter(kafka.node.bootstrap, client_config=kafka.access("producer").client())
        with by_sdk as emitter:
            for number in range(EVENTS_SENT):
                emitter.emit(event(number))

        def taken() -> bool:
            assert all(child.is_alive() for child in children), [child.log_tail() for child in children]
            with suppress(httpx.HTTPError):
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/v1/events",
                    content=event(0).model_dump_json(exclude_defaults=True),
                    headers={"Content-Type": "application/json"},
                    trust_env=False,
                )
                assert answer.status_code in (202, 503), answer.text
                return answer.status_code == 202
            return False

        eventually("the gateway takes an event", taken, WAIT_S)
        client = connect(server.url, "writer", "secret")
        asked = "SELECT sum(events) FROM tokenmeter.usage_billing FINAL"
        eventually("all is metered and loaded", lambda: client.query(asked).result_rows == [(EVENTS_SENT + 1,)], WAIT_S)
        for verb in ("audit", "reconcile", "topics --acls"):
            code, said = run(verb.split(), **store, **kafka.settings(ADMIN))
            assert code == 0, said
        for verb in VERBS:
            told = {**kafka.settings("workers"), "TOKENMETER_KAFKA_PASSWORD": "wrong-canary"}
            code, said = run([verb], **store, **told)
            assert code == 1, f"{verb}: {said}"
            assert said.count("refuses user") == 1, f"{verb}: {said}"
            for part in (kafka.node.bootstrap, "user workers", "invalid credentials", "(next: check TOKENMETER_KAFKA_"):
                assert part in said, f"{verb}: {said}"
            assert "canary" not in said
            assert len(said) < 400, f"{verb}: {said}"
        with pytest.raises(Undelivered, match="Authentication failed"):
            wrong = Access("producer", "wrong", ca=str(kafka.ca)).client()
            lost = Emitter(kafka.node.bootstrap, client_config={**wrong, "log_level": 0})
            lost.emit(event(0))
            lost.flush(3)
        with pytest.raises(Undelivered, match="TOKENMETER_KAFKA_USER"):
            nobody = Emitter(kafka.node.bootstrap, client_config={"log_level": 0})
            nobody.emit(event(0))
            nobody.flush(3)
    finally:
        for child in children:
            child.kill()


def test_a_client_without_user_or_trust_is_told_what_is_missing(kafka: Locked) -> None:
    servers = {"bootstrap.servers": kafka.node.bootstrap}
    with pytest.raises(Misconfigured, match="TOKENMETER_KAFKA_USER"):
        require_access(servers)
    with pytest.raises(Misconfigured, match="certificate verify failed"):
        require_access({**servers, **Access("workers", kafka.words["workers"], tls=True).client()})
    require_access(kafka.client("workers"))
    properties = kafka.node.properties
    assert "CONTROLLER:SASL_PLAINTEXT" in properties.read_text("utf-8"), "whoever reaches a controller rules them all"
    assert properties.stat().st_mode & 0o077 == 0, "it holds a password"
    require_access({"bootstrap.servers": "127.0.0.1:1"})  # away is not refused: who needs it says so


Operation = Callable[[dict[str, Any]], None]
_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


def writes(topic: str) -> Operation:
    def work(client: dict[str, Any]) -> None:
        failed: list[KafkaError] = []
        producer = Producer({**client, "message.timeout.ms": 20_000})
        producer.produce(topic, b"x", b"k", 0, on_delivery=lambda error, _: failed.append(error))
        producer.flush(30)
        if failed[0] is not None:
            raise KafkaException(failed[0])

    return work


def reads(topic: str, group: str = "my-reader") -> Operation:
    """In a group that commits, as a billing system does."""

    def work(client: dict[str, Any]) -> None:
        settings = {"group.id": group, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        consumer = Consumer({**client, **settings, "enable.auto.commit": False})
        try:
            if (denied := consumer.list_topics(topic, 30).topics[topic].error) is not None:
                raise KafkaException(denied)  # who may not see a topic hears nothing of it
            consumer.assign([TopicPartition(topic, 0, 0)])
            heard: list[Message] = []
            eventually("an answer", lambda: heard.extend(consumer.consume(1, 1)) or heard, WAIT_S)
            if (error := heard[0].error()) is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
        finally:
            consumer.close()
        wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])]
        admin = AdminClient(client)
        for place in admin.alter_consumer_group_offsets(wanted)[group].result(WAIT_S).topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)

    return work


def asks_position(client: dict[str, Any]) -> None:
    admin, group = AdminClient(client), f"{OURS}ledger"
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(EVENTS, 0)])]
    admin.list_consumer_group_offsets(wanted)[group].result(WAIT_S)


def transacts(client: dict[str, Any]) -> None:
    Producer({**client, "transactional.id": f"{OURS}meter-{EVENTS}-0"}).init_transactions(30)


def makes_topic(client: dict[str, Any]) -> None:
    admin = AdminClient(client)
    for future in admin.create_topics([NewTopic(f"made-{uuid.uuid4()}", 1, 1)]).values():
        future.result(30)


OPERATIONS: dict[str, tuple[Operation, set[str]]] = {
    **{
        f"write {topic}": (writes(topic), {ADMIN, "workers"})
        for topic in (BILLING, PAGES, MARKET, CATALOG, ACCOUNT_STATE)
    },
    f"write {GROWTH}": (writes(GROWTH), {ADMIN}),
    f"write {EVENTS}": (writes(EVENTS), {ADMIN, "gateway", "producer"}),
    f"write {LEDGER}": (writes(LEDGER), {ADMIN, "workers", "gateway"}),
    f"read {EVENTS}": (reads(EVENTS), {ADMIN, "reader"}),
    f"read {BILLING}": (reads(BILLING), {ADMIN, "reader"}),
    f"read {BILLING} as {OURS}ledger": (reads(BILLING, f"{OURS}ledger"), {ADMIN, "workers"}),
    "ask a worker's position": (asks_position, {ADMIN, "workers", "gateway", "reader"}),
    "use a worker's transaction": (transacts, {ADMIN, "workers"}),
    "make a topic": (makes_topic, {ADMIN}),
}
"""What is tried, and by which roles it may be done."""


_YOUNG = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE)
"""Said by a broker that does not know its groups yet."""


def may(client: dict[str, Any], work: Operation) -> bool:
    def tried() -> list[KafkaError | None]:
        try:
            work(client)
        except KafkaException as error:
            return [] if error.args[0].code() in _YOUNG else [error.args[0]]
        return [None]

    (error,) = eventually("the broker knows its groups", tried, WAIT_S)
    assert error is None or error.code() in _DENIED, error
    return error is None


def test_each_role_may_do_what_its_work_needs_and_nothing_else(kafka: Locked) -> None:
    roles = (ADMIN, *ROLES)

    def who_may(operation: tuple[Operation, set[str]]) -> set[str]:
        return {role for role in roles if may(kafka.client(role), operation[0])}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(OPERATIONS, pool.map(who_may, OPERATIONS.values()), strict=True))
    width = max(map(len, OPERATIONS))
    print("\n" + " " * width, *(f"{role:>9}" for role in roles))
    for name, allowed in found.items():
        print(f"{name:{width}}", *(f"{'yes' if role in allowed else '-':>9}" for role in roles))
    assert found == {name: wanted for name, (_, wanted) in OPERATIONS.items()}
