"""The cache before real Kafka: what is committed changes its answers, what is not does not, and its age stays small."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from support.broker import broker, eventually
from support.catalog_rows import account
from support.ledger_desk import Desk, prepaid
from tokenmeter.emit import CreditCache
from tokenmeter.emit.credit import Answer
from tokenmeter.events.contract import ACCOUNT_STATE, CATALOG
from tokenmeter.stack.kafka import KafkaNode

PARTITIONS = 3
ROWS = (account("c", parent_id="p"), prepaid("p"), account("q", credit_limit=9))
OK = Answer(True, "ok", None)
EXHAUSTED = Answer(False, "exhausted", "p")


class World:
    """A broker, a cache that follows it, and a ledger whose states are written by hand."""

    def __init__(self, kafka: KafkaNode, cache: CreditCache) -> None:
        self.kafka, self.cache = kafka, cache
        self.desk = Desk(*ROWS)
        self.producer = Producer(self.settings(transactional=True))
        self.producer.init_transactions(30)

    def settings(self, transactional: bool) -> dict[str, Any]:
        name = {"transactional.id": "by-hand"} if transactional else {}
        return {"bootstrap.servers": self.kafka.bootstrap, "partitioner": "murmur2_random", **name}

    def write(self, commit: bool = True) -> None:
        """Put the desk's states on the topic, in a transaction."""
        self.desk.restart()
        self.producer.begin_transaction()
        for account_id, value in self.desk.states.items():
            self.producer.produce(ACCOUNT_STATE, value, account_id.encode())
        if commit:
            self.producer.commit_transaction(30)
        else:
            self.producer.flush(30)
            self.producer.abort_transaction(30)

    def becomes(self, customer: str, answer: Answer) -> None:
        eventually(f"{customer} is {answer}", lambda: self.cache.allowed(customer) == answer, every_s=0.01)

    def catches_up(self) -> None:
        """Everything that is there now has been read."""
        before = self.cache._monotonic()
        eventually("the cache catches up", lambda: self.cache._monotonic() - self.cache.age_s > before)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with broker(tmp_path_factory.mktemp("credit"), PARTITIONS) as kafka, CreditCache(kafka.bootstrap) as cache:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        for row in ROWS:
            producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
        assert producer.flush(30) == 0
        assert cache.wait_ready(60), "empty topics have an end too"
        yield World(kafka, cache)


def test_answers_change_with_the_states_and_rows_that_are_committed(world: World) -> None:
    world.becomes("c", EXHAUSTED)
    assert world.cache.allowed("nobody") == Answer(True, "unknown", "nobody")
    world.desk.post(world.desk.entry("PAYMENT", 10, "p"))
    world.write(commit=False)
    world.catches_up()
    assert world.cache.allowed("c") == EXHAUSTED, "an aborted state is none, and nothing waits for it"
    world.write()
    world.becomes("c", OK)
    world.desk.spend(10, "p")
    world.write()
    world.becomes("c", EXHAUSTED)
    assert world.cache.allowed("q") == OK
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap})
    row = account("q", status="SUSPENDED")
    producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
    assert producer.flush(30) == 0
    world.becomes("q", Answer(False, "suspended", "q"))


def test_a_second_cache_reads_the_same_from_the_beginning_and_answers_tasks(world: World) -> None:
    world.catches_up()

    async def ask(cache: CreditCache) -> list[Answer]:
        return [cache.allowed(customer) for customer in ("c", "q", "nobody")]

    with CreditCache(world.kafka.bootstrap) as again:
        assert again.wait_ready(60)
        assert asyncio.run(ask(again)) == asyncio.run(ask(world.cache))


def test_without_kafka_it_grows_stale_and_says_so(world: World, tmp_path: Path) -> None:
    """The last test: it takes the broker away."""
    with CreditCache(world.kafka.bootstrap, staleness_s=1, fail={"stale": "refuse"}) as cache:
        assert cache.wait_ready(60)
        eventually("it is fresh", lambda: cache.allowed("nobody").reason == "unknown")
        world.kafka.kill()
        eventually("it is stale", lambda: cache.allowed("nobody") == Answer(False, "stale", None))
        assert cache.age_s > 1
        assert cache.allowed("c") == EXHAUSTED, "what was refused stays so"
