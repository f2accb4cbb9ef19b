"""A broker that is killed under a page and comes back costs the seconds it is away: the same owner goes on.

confluent-kafka 2.16 fails this (streams/tokenmeter/kafka/0002): a position that was under way never returns.
"""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from support.broker import broker, eventually, lag
from support.workers import WorkerProcess
from tokenmeter.emit.credit.follower import Follower
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.page import Outgoing

GROUP, TOPIC = "away", "usage.events"
PARTITIONS = 4
BACK_S = 60.0
"""For the calls that go on; what does not return would wait for ever."""
AWAY_S = 5.0
ENDED_S = 40.0
"""For a worker's end on two busy cores; Faust would wait a minute for the thread that reads."""


class Owner(threading.Thread):
    """Commits one small page after the other, so that a kill finds it in any of its calls."""

    def __init__(self, client: dict[str, str], partition: int) -> None:
        super().__init__(daemon=True)
        self._driver = KafkaDriver(client, GROUP, TOPIC, partition, position_early=True)
        self._partition, self.pages, self.halt = partition, 0, threading.Event()

    def run(self) -> None:
        self._driver.perform(steps.Fence())
        self._driver.perform(steps.ReadPosition())
        while not self.halt.is_set():
            position = steps.SendOffsets(self.pages + 1, 0)
            self._driver.announce(position)
            self._driver.perform(steps.Begin())
            self._driver.perform(steps.Produce((Outgoing("usage.billing", [None], [b"line"], self._partition),)))
            self._driver.perform(position)
            self._driver.perform(steps.Commit())
            self.pages += 1


@retry(retry=retry_if_result(lambda waiting: bool(waiting)), wait=wait_fixed(0.1), stop=stop_after_delay(BACK_S))
def waiting(owners: list[Owner], pages: list[int]) -> list[int]:
    """The partitions whose owner has committed nothing beyond ``pages``; retried until there is none."""
    return [n for n, (owner, before) in enumerate(zip(owners, pages, strict=True)) if owner.pages <= before]


def test_owners_go_on_once_their_killed_broker_is_back(tmp_path: Path) -> None:
    with broker(tmp_path, PARTITIONS) as node:
        lag(node.bootstrap, GROUP, TOPIC)  # a young broker does not know its groups yet
        owners = [Owner({"bootstrap.servers": node.bootstrap}, n) for n in range(PARTITIONS)]
        for owner in owners:
            owner.start()
        waiting(owners, [0] * PARTITIONS)
        node.kill()
        at = [owner.pages for owner in owners]
        node.start()
        waiting(owners, [pages + 1 for pages in at])
        assert all(owner.is_alive() for owner in owners)
        for owner in owners:
            owner.halt.set()
            owner.join(BACK_S)


def test_a_worker_ends_when_it_is_asked_to_while_its_broker_is_away(tmp_path: Path) -> None:
    with broker(tmp_path, PARTITIONS) as node:
        worker = WorkerProcess(tmp_path, "meter", "meter", node.bootstrap)
        eventually(f"it works; {worker.log}", lambda: "Worker ready" in worker.log.read_text("utf-8"))
        node.kill()
        eventually("it has noticed", lambda: "Unable connect" in worker.log.read_text("utf-8"))
        worker.child.signal(signal.SIGTERM)
        worker.wait_ended(ENDED_S)


def test_who_follows_a_topic_leaves_the_machine_to_its_broker_and_knows_when_it_is_back(tmp_path: Path) -> None:
    """An AdminClient that asks where topics end takes a core while their leader is away: it then starts late."""
    with broker(tmp_path) as node:
        client = {"bootstrap.servers": node.bootstrap}
        follower = Follower(client, lambda message: None, lambda: None)
        follower.start()
        try:
            assert follower.caught_up.wait(BACK_S)
            node.kill()
            begun_s = time.process_time()
            time.sleep(AWAY_S)
            assert time.process_time() - begun_s < AWAY_S / 10
            node.start()
            back_at = time.monotonic()
            eventually("it knows", lambda: (follower.caught_up_at or 0.0) > back_at, BACK_S)
        finally:
            follower.close()
