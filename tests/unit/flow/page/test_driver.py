"""The position that travels while a page closes: it is in the transaction before the commit, or there is none."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from support.memory_log import Pass
from tokenmeter.emit import client as client_settings
from tokenmeter.emit.credit.follower import Follower
from tokenmeter.events.errors import Fenced
from tokenmeter.flow.page import driver, steps
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.page import Outgoing, PageBounds
from tokenmeter.flow.page.performer import Performer, run

BOUNDS = PageBounds("usage.events", 0, 10, 20, 1, 2)
WAIT_S = 30.0


class Producer:
    """Notes what it is asked. ``closed`` is set once the page is closed: a position waits for it."""

    def __init__(self, closed: Event, error: KafkaException | None = None) -> None:
        self.asked: list[Any] = []
        self._closed, self._error = closed, error

    def begin_transaction(self) -> None:
        self.asked.append("begin")

    def send_offsets_to_transaction(self, offsets: list[Any], group: Any, timeout_s: float) -> None:
        assert self._closed.wait(WAIT_S), "the page is closed meanwhile"
        if self._error is not None:
            raise self._error
        self.asked.append(offsets[0].offset)

    def produce(self, *record: Any) -> None:
        self.asked.append("record")

    def commit_transaction(self, timeout_s: float) -> None:
        self.asked.append("commit")

    def abort_transaction(self, timeout_s: float) -> None:
        self.asked.append("abort")


class Closing(Pass):
    def __init__(self, closed: Event) -> None:
        super().__init__()
        self._closed = closed

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        self._closed.set()
        return [Outgoing("out", [None], [b"1"])]


def committed(position_early: bool, error: KafkaException | None = None) -> list[Any]:
    """What is asked of Kafka for one page, in order; if it fails, up to the drop."""
    closed = Event()
    driver = KafkaDriver({}, "app", "usage.events", 0, position_early)
    producer = Producer(closed, error)
    driver._producer = producer  # type: ignore[assignment]
    try:
        run(steps.commit(BOUNDS), Performer(driver, Closing(closed), driver.name))
    except Fenced:
        driver.drop()
    return producer.asked


def test_a_position_travels_while_the_page_is_closed_and_the_commit_waits_for_it() -> None:
    asked = committed(position_early=True)
    assert asked[0] == "begin" and asked[-1] == "commit"
    assert sorted(map(str, asked[1:-1])) == ["20", "record"]


def test_without_it_the_position_is_sent_behind_the_records() -> None:
    assert committed(position_early=False) == ["begin", "record", 20, "commit"]


@pytest.mark.parametrize("early", [False, True])
def test_a_position_that_is_refused_commits_nothing(early: bool) -> None:
    fenced = KafkaException(KafkaError(KafkaError._FENCED))
    assert committed(early, fenced) == ["begin", "record", "abort"]


def test_a_broker_that_is_back_is_found_within_a_second_unless_its_owner_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By default it takes a client of Kafka up to ten."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(driver, "Producer", made.append)
    for client in ({}, {"reconnect.backoff.max.ms": 9_000}):
        KafkaDriver(client, "app", "usage.events", 0)._new_producer()
    follower = Follower({}, lambda message: None, lambda: None)
    direct = client_settings.direct("host:9092", 10, {})
    waits = [one["reconnect.backoff.max.ms"] for one in (*made, follower._client, direct)]
    assert waits == [500, 9_000, 1_000, 2_000]
