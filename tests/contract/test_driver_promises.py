"""What a driver promises the engine, asked of the one on Kafka and of the one in memory that the schedules rest on.

A promise is a function from a world to what is wrong in it. The mutants (a position outside the transaction, no
fence) must break one of the same promises, in either world.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from support.broker import broker, lag
from support.memory_log import Broker, MemoryDriver
from tokenmeter.events.errors import Fenced
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import Driver, KafkaDriver
from tokenmeter.flow.page.page import Outgoing
from tokenmeter.kafka.logreader import KafkaLogReader

GROUP, IN, OUT = "promises", "in", "out"
PARTITIONS = 24
"""One for each promise in each world."""


class World(Protocol):
    """A partition, its group's position and what a read_committed reader sees of its outputs."""

    def owner(self) -> Driver:
        """Somebody who has not fenced yet."""

    def committed(self) -> list[int]:
        """The outputs that count."""

    def outgoing(self, values: list[int]) -> tuple[Outgoing, ...]:
        """Outputs of a page."""


class InMemory:
    def __init__(self, outside: bool = False, fenced: bool = True) -> None:
        self._broker, self._outside = Broker(fenced=fenced), outside

    def owner(self) -> Driver:
        return MemoryDriver(self._broker, self._outside)

    def committed(self) -> list[int]:
        return self._broker.committed

    def outgoing(self, values: list[int]) -> tuple[Outgoing, ...]:
        return (Outgoing(OUT, [None] * len(values), [str(value).encode() for value in values]),)


class MutantOnKafka(KafkaDriver):
    """``outside``: the position goes into a transaction of its own. ``fenced`` False: an id of its own each time."""

    outside, fenced = False, True

    def transactional_id(self) -> str:
        return super().transactional_id() if self.fenced else f"{super().transactional_id()}-{uuid.uuid4()}"

    def perform(self, effect: steps.Effect) -> Any:
        if self.outside and isinstance(effect, steps.SendOffsets):
            alone = Producer({**self._client, "transactional.id": str(uuid.uuid4())})
            alone.init_transactions(30)
            alone.begin_transaction()
            alone.send_offsets_to_transaction([TopicPartition(IN, self._partition, effect.next_offset)], self._named)
            return alone.commit_transaction(30)
        return super().perform(effect)


class OnKafka:
    def __init__(self, client: dict[str, Any], partition: int, outside: bool = False, fenced: bool = True) -> None:
        self._client, self._partition, self._outside, self._fenced = client, partition, outside, fenced

    def owner(self) -> Driver:
        driver = MutantOnKafka(self._client, GROUP, IN, self._partition, position_early=True)
        driver.outside, driver.fenced = self._outside, self._fenced
        return driver

    def committed(self) -> list[int]:
        log = KafkaLogReader(self._client)
        batches = log.read(OUT, self._partition, 0, log.end(OUT, self._partition))
        return [int(value) for batch in batches for value in batch.values if value]

    def outgoing(self, values: list[int]) -> tuple[Outgoing, ...]:
        return (Outgoing(OUT, [None] * len(values), [str(value).encode() for value in values], self._partition),)


def owned(world: World) -> tuple[Driver, steps.Position]:
    driver = world.owner()
    driver.perform(steps.Fence())
    return driver, driver.perform(steps.ReadPosition())


def page(world: World, driver: Driver, values: list[int], end: int, lost: int = 0, early: bool = False) -> None:
    """All of a page but its commit."""
    if early:
        driver.announce(steps.SendOffsets(end, lost))
    driver.perform(steps.Begin())
    driver.perform(steps.Produce(world.outgoing(values)))
    driver.perform(steps.SendOffsets(end, lost))


def stands(world: World, outputs: list[int], position: steps.Position) -> list[str]:
    """What is wrong with what the next owner finds."""
    driver, found = owned(world)
    driver.drop()
    wrong = [] if found == position else [f"at {found}, not {position}"]
    return wrong + ([] if world.committed() == outputs else [f"outputs {world.committed()}, not {outputs}"])


def begins_at_nothing(world: World) -> list[str]:
    """Whoever is first begins at offset 0."""
    return stands(world, [], steps.NOTHING_COMMITTED)


def commits_all(world: World) -> list[str]:
    """A page's outputs, position and losses are there once it is committed, page after page."""
    driver, _ = owned(world)
    for values, end, lost in (([1, 2], 2, 0), ([3], 7, 4)):
        page(world, driver, values, end, lost)
        driver.perform(steps.Commit())
    driver.drop()
    return stands(world, [1, 2, 3], steps.Position(7, 4))


def commits_nothing_of_a_dropped_page(world: World) -> list[str]:
    """Neither outputs nor position of a page that was given up count."""
    driver, _ = owned(world)
    page(world, driver, [1], 1)
    driver.drop()
    return stands(world, [], steps.NOTHING_COMMITTED)


def counts_no_early_position(world: World) -> list[str]:
    """A position that travels while its page is made counts with its page."""
    driver, _ = owned(world)
    page(world, driver, [1], 1, early=True)
    driver.perform(steps.Commit())
    page(world, driver, [2], 2, early=True)
    driver.drop()
    return stands(world, [1], steps.Position(1))


def shuts_a_zombie_out(world: World) -> list[str]:
    """Whoever was fenced commits nothing, and is told so; the new owner goes on."""
    zombie, _ = owned(world)
    zombie.perform(steps.Begin())
    zombie.perform(steps.Produce(world.outgoing([1])))
    owner, position = owned(world)
    wrong = [] if position == steps.NOTHING_COMMITTED else [f"the new owner begins at {position}"]
    try:
        zombie.perform(steps.SendOffsets(1))
        zombie.perform(steps.Commit())
        wrong.append("a zombie committed")
    except Fenced:
        pass
    zombie.drop()
    page(world, owner, [2], 1)
    owner.perform(steps.Commit())
    owner.drop()
    return wrong + stands(world, [2], steps.Position(1))


PROMISES: list[Callable[[World], list[str]]] = [
    begins_at_nothing,
    commits_all,
    commits_nothing_of_a_dropped_page,
    counts_no_early_position,
    shuts_a_zombie_out,
]
OUTSIDE, UNFENCED = {"outside": True}, {"fenced": False}
BREAKS = [(commits_nothing_of_a_dropped_page, OUTSIDE), (shuts_a_zombie_out, UNFENCED)]


@pytest.fixture(scope="module")
def on_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., World]]:
    with broker(tmp_path_factory.mktemp("promises"), 1) as node:
        client = {"bootstrap.servers": node.bootstrap, "log_level": 2}
        topics = [NewTopic(name, PARTITIONS, 1) for name in (IN, OUT)]
        admin = AdminClient(client)
        for made in admin.create_topics(topics, operation_timeout=30).values():
            made.result()
        lag(node.bootstrap, GROUP, IN)  # a young broker does not know its groups yet
        partitions = count()
        yield lambda **mutant: OnKafka(client, next(partitions), **mutant)


@pytest.mark.parametrize("promise", PROMISES)
def test_the_driver_in_memory_keeps(promise: Callable[[World], list[str]]) -> None:
    assert promise(InMemory()) == []


@pytest.mark.parametrize("promise", PROMISES)
def test_the_driver_on_kafka_keeps(promise: Callable[[World], list[str]], on_kafka: Callable[..., World]) -> None:
    assert promise(on_kafka()) == []


@pytest.mark.parametrize(("promise", "mutant"), BREAKS)
def test_a_wrong_one_breaks(
    promise: Callable[[World], list[str]], mutant: dict[str, bool], on_kafka: Callable[..., World]
) -> None:
    assert promise(InMemory(**mutant))
    assert promise(on_kafka(**mutant))
