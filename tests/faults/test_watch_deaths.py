"""Fault: the watch is killed at each point of the page that alerts, on real Kafka. Invariant: what an unbroken watch of
the same lines tells is told, each alert once.

The mutant commits its position before it writes the alerts; the same check must find what it loses.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from support.broker import eventually, read_all, stamped_by_producers
from support.watched import billing
from support.worker_main import Point
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.events import decode
from tokenmeter.events.contract import ALERTS, BILLING
from tokenmeter.events.groups import WATCH
from tokenmeter.flow.watch.feed_billing import FEED
from tokenmeter.flow.watch.processor import HISTORY_S, WatchProcessor
from tokenmeter.kafka.logreader import KafkaLogReader

PARTITIONS = 2
CUSTOMERS = ("acme", "beta", "cobalt", "delta")
HISTORY_MINUTES = 26 * 60
TAIL_MINUTES = 80
KAFKA_S = 20.0
POINTS = [Point("Produce", "after"), Point("Commit", "before"), Point("Commit", "after")]


class Lines:
    """Writes each customer's lines, a minute after the other, stamped with their minute."""

    def __init__(self, bootstrap: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
        self._producer = Producer(settings)
        group = {"group.id": WATCH.id, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
        self._positions = Consumer({"bootstrap.servers": bootstrap, **group, "log_level": 2})
        self.bootstrap = bootstrap
        self._chance = random.Random(3)
        self.now_s = int(time.time()) // 60 * 60
        self.clock_s = float(self.now_s - TAIL_MINUTES * 60)
        """Where the watches' clocks stand still, so that no bucket closes by the clock."""

    def write(self, minutes: Iterator[int], leak: bool = False) -> None:
        """A line of each customer a minute; with a leak the third to the fifth minute have forty times the calls."""
        for number, ago in enumerate(minutes):
            at_s = self.now_s - ago * 60
            for customer in CUSTOMERS:
                leaks = leak and number in (2, 3, 4)
                calls = self._chance.randrange(90, 110) * (40 if leaks else 1)
                value = billing(at_s, customer, f"{customer}-key", calls)
                self._producer.produce(BILLING, value, customer.encode(), timestamp=at_s * 1000)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def taken(self) -> bool:
        """Whether a watch has committed to the end."""
        with suppress(KafkaException):  # a young broker does not know its groups yet
            found = self._positions.committed([TopicPartition(BILLING, one) for one in range(PARTITIONS)], KAFKA_S)
            ends = [self._positions.get_watermark_offsets(one, KAFKA_S)[1] for one in found]
            return all(one.offset >= end for one, end in zip(found, ends, strict=True))
        return False

    def wanted(self) -> list[str]:
        """The ids of what an unbroken watch tells, from the same log."""
        log = KafkaLogReader({"bootstrap.servers": self.bootstrap})
        told: list[str] = []
        for partition in range(PARTITIONS):
            one = WatchProcessor(FEED, partition, log, lambda: self.clock_s)
            one.watch.told_from = int(self.clock_s - HISTORY_S) // 60
            for batch in log.read(BILLING, partition, 0, log.end(BILLING, partition)):
                one.add(batch)
            told += [alert.alert_id for alert in one._alerts]
        return sorted(told)


def owns_all(worker: WorkerProcess) -> bool:
    """Whether it owns every partition of both topics, of which usage.market never had a line."""
    owned = (worker.health() or {"partitions": []})["partitions"]
    return {(one["topic"], one["partition"]) for one in owned} == {
        (topic, partition) for topic in WATCH.topics for partition in range(PARTITIONS)
    }


def die(folder: Path, points: Sequence[Point], mutant: str | None = None) -> tuple[list[str], list[str]]:
    """Let one watch after the other die at its point of the page that alerts, a last one finish; (wanted, told)."""
    with World.begun(folder, PARTITIONS) as world:
        stamped_by_producers(world.bootstrap, BILLING)
        lines = Lines(world.bootstrap)
        lines.write(iter(range(HISTORY_MINUTES + TAIL_MINUTES, TAIL_MINUTES, -1)))
        named = {"slot": "1", "page_events": 100_000, "clock_s": lines.clock_s}
        first = world.worker("watch", **named)
        eventually(f"the history is taken; {first.log}", lines.taken, 120)
        first.kill()
        lines.write(iter(range(TAIL_MINUTES, 0, -1)), leak=True)
        for point in points:
            dying = world.worker("watch", point=point, mutant=mutant, **named)
            assert dying.wait_ended(120) == -signal.SIGKILL, dying.child.log_tail()
        last = world.worker("watch", **named)
        eventually(f"all is taken; {last.log}", lines.taken, 120)
        eventually(f"it owns what is empty, too: its time passes as well; {last.log}", lambda: owns_all(last), 120)
        last.kill()
        told = [decode(record.value).record["alert_id"] for record in read_all(world.bootstrap, ALERTS)]
        return lines.wanted(), sorted(told)


def test_a_watch_killed_inside_the_page_that_alerts_tells_each_alert_once(tmp_path: Path) -> None:
    wanted, told = die(tmp_path, POINTS)
    assert len(wanted) >= 2 * PARTITIONS, "what begins in a partition ends there"
    assert told == wanted
    assert max(Counter(told).values()) == 1


@pytest.mark.long
def test_the_same_check_finds_what_a_position_committed_before_the_alerts_loses(tmp_path: Path) -> None:
    wanted, told = die(tmp_path, [Point("Commit", "before")], "commit_outside")
    assert told != wanted
