"""A new app is a processor and a test: one that counts words dies before and after each effect and stays exact.

What ``ledger`` and ``watch`` follow: state on a compacted topic, committed with the position, read back by the next
owner. A mutant that forgets it is caught by the same count.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count, product
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from support.broker import broker, lag
from support.counting_app import COUNTS, WORDS, Counting, counted
from support.memory_log import Crash
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.engine import Engine
from tokenmeter.flow.page.page import PageLimits
from tokenmeter.flow.page.performer import Performer
from tokenmeter.kafka.logreader import KafkaLogReader

GROUP = "counting"
PAGE_WORDS = 5
SENT = ["one", "two", "two", "three", "three", "three", "four", "four", "four", "four"] * 2
EFFECTS = ("Fence", "ReadPosition", "Restore", "Close", "Begin", "Produce", "SendOffsets", "Commit", "Committed")
OWNING = EFFECTS[:3]
PARTITIONS = 2 * len(EFFECTS) + 4


class Dying(Performer):
    """Its process ends ``side`` an effect, inside its second page: nobody is left to abort anything."""

    def __init__(self, driver: KafkaDriver, processor: Counting, effect: str, side: str) -> None:
        super().__init__(driver, processor, driver.name)
        self._effect, self._side = effect, side
        self._left = 1 if effect in OWNING else 2

    def perform(self, effect: steps.Effect) -> Any:
        self._left -= type(effect).__name__ == self._effect
        dies = self._left == 0 and type(effect).__name__ == self._effect
        if dies and self._side == "before":
            raise Crash
        answer = super().perform(effect)
        if dies:
            raise Crash
        return answer


class Forgetful(Counting):
    """Begins with nothing, whatever its state says."""

    def restore(self, position: int) -> None:
        self._counts, self._page = Counter(), Counter()


class Kafka:
    """A broker, and a partition of its own for each story."""

    def __init__(self, client: dict[str, Any]) -> None:
        self.client, self.log = client, KafkaLogReader(client, records_max=PAGE_WORDS)
        self._partitions = count()

    def send(self) -> int:
        """SENT on a fresh partition, whose number it returns."""
        partition = next(self._partitions)
        producer = Producer(self.client)
        for word in SENT:
            producer.produce(WORDS, word.encode(), partition=partition)
        assert producer.flush(30) == 0
        return partition

    def live(self, partition: int, app: type[Counting] = Counting, death: tuple[str, str] | None = None) -> None:
        """One owner from where the group stands to the end of the log, or to its death: then Crash."""

        def make(topic: str, number: int) -> tuple[Performer, Counting]:
            driver, processor = KafkaDriver(self.client, GROUP, topic, number), app(number, self.log)
            return Dying(driver, processor, *death) if death else Performer(driver, processor, driver.name), processor

        async def main() -> None:
            failed: list[BaseException] = []
            engine = Engine(make, PageLimits(events=PAGE_WORDS), lambda: 0.0, failed.append)
            for batch in self.log.read(WORDS, partition, 0, len(SENT)):
                await engine.add(batch)
            await engine.stop()
            assert failed == []

        asyncio.run(main())

    def wrong(self, partition: int) -> list[str]:
        """The words whose last count is not how often they were sent."""
        found: Counter[str] = Counter()
        for batch in self.log.read(COUNTS, partition, 0, self.log.end(COUNTS, partition)):
            found |= counted(batch)
        return [f"{word}: {found[word]} of {n}" for word, n in Counter(SENT).items() if found[word] != n]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with broker(tmp_path_factory.mktemp("counting"), 1) as node:
        client = {"bootstrap.servers": node.bootstrap, "log_level": 2}
        topics = [
            NewTopic(WORDS, PARTITIONS, 1),
            NewTopic(COUNTS, PARTITIONS, 1, config={"cleanup.policy": "compact"}),
        ]
        admin = AdminClient(client)
        for made in admin.create_topics(topics, operation_timeout=30).values():
            made.result()
        lag(node.bootstrap, GROUP, WORDS)  # a young broker does not know its groups yet
        yield Kafka(client)


def died_and_went_on(kafka: Kafka, effect: str, side: str, app: type[Counting] = Counting) -> list[str]:
    partition = kafka.send()
    with pytest.raises(Crash):
        kafka.live(partition, app, (effect, side))
    kafka.live(partition, app)
    return kafka.wrong(partition)


@pytest.mark.parametrize(("effect", "side"), list(product(EFFECTS, ("before", "after"))))
def test_it_may_die_at_any_effect(kafka: Kafka, effect: str, side: str) -> None:
    assert died_and_went_on(kafka, effect, side) == []


def test_one_that_forgets_its_state_is_found(kafka: Kafka) -> None:
    assert died_and_went_on(kafka, "Commit", "after", Forgetful)
