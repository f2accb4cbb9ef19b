"""Threads that look at each part all the time, from outside, and tell Signs what they saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tokenmeter.events.access import SILENT
from tokenmeter.events.errors import TokenmeterError
from tokenmeter.events.groups import GROUPS
from week.signs import Signs
from week.stack import UsersStack

LOOK_S = 0.25
ANSWER_S = 2.0


class Watchers:
    """``names``: parts of the stack to look at; the gateway is looked at by those who post to it."""

    def __init__(self, stack: UsersStack, signs: Signs, names: list[str]) -> None:
        self._stack, self._signs = stack, signs
        self._done = threading.Event()
        asks = {"clickhouse": self._clickhouse, "superset": self._superset, **{app: self._group(app) for app in GROUPS}}
        self._threads = [
            threading.Thread(target=self._look, args=(n, asks[n]), daemon=True) for n in names if n in asks
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(5 * ANSWER_S)

    def _look(self, name: str, ask: Callable[[], int | None]) -> None:
        while not self._done.wait(LOOK_S):
            asked_at = time.monotonic()
            with suppress(KafkaException, httpx.HTTPError, TokenmeterError, KeyError):  # no such part: not yet
                position = ask()
                at = time.monotonic()
                if position is None:
                    self._signs.answered(name, asked_at, at)
                else:
                    self._signs.position(name, position, asked_at, at)
                    self._signs.answered("kafka", asked_at, at)

    def _clickhouse(self) -> None:
        self._stack.ask("SELECT 1", ANSWER_S)

    def _superset(self) -> None:
        url = f"{self._stack.parts['superset'].url}/health"
        httpx.get(url, timeout=ANSWER_S, trust_env=False, verify=False).raise_for_status()

    def _group(self, app: str) -> Callable[[], int]:
        group, topics = GROUPS[app].id, GROUPS[app].topics
        consumer = Consumer(
            {**self._stack.client, **SILENT, "group.id": group, "enable.auto.commit": False, "log_level": 0}
        )
        there = consumer.list_topics(timeout=30).topics
        wanted = [TopicPartition(topic, number) for topic in topics for number in there[topic].partitions]

        def position() -> int:
            found: list[Any] = consumer.committed(wanted, ANSWER_S)
            return sum(max(0, one.offset) for one in found)

        return position
