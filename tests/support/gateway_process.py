"""The gateway's command in a process of its own, and those who post to it under load."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from support.broker import eventually, read_all
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import KafkaNode, free_port


class Gateway:
    """Keys of its own: k-1 and k-2."""

    def __init__(self, folder: Path, kafka: KafkaNode, *options: str, name: str = "gateway") -> None:
        self.kafka = kafka
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/events"
        env = {"TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap, "TOKENMETER_GATEWAY_KEYS": "k-1,k-2"}
        command = [sys.executable, "-m", "tokenmeter.cli.app", "gateway", "--port", str(self.port), *options]
        self.child = Child(name, command, folder / f"{name}.log", env)
        self.start()

    def start(self) -> None:
        """Start it, also again."""
        self.child.start()
        eventually("the gateway answers", self.health)

    def health(self) -> dict[str, Any] | None:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/health")
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None  # type: ignore[no-any-return]

    def records(self) -> list[dict[str, Any]]:
        """All events on the topic, repeats too."""
        return [decode(record.value).record for record in read_all(self.kafka.bootstrap, EVENTS)]

    def ids(self) -> set[str]:
        return {record["event_id"] for record in self.records()}


class Load:
    """Threads that post as fast as ``per_s`` says until the block ends: ``answers`` are (begun at, status, what)."""

    def __init__(self, post: Callable[[int], int], per_s: float, threads: int) -> None:
        self._post = post
        self._pause_s = threads / per_s
        self._done = threading.Event()
        self._next = 0
        self._lock = threading.Lock()
        self.answers: list[tuple[float, int, int]] = []
        self.stalled_s = 0.0
        """The longest time for which this process itself did not run: what a busy machine adds to any time here."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self._threads.append(threading.Thread(target=self._tick, daemon=True))

    @contextmanager
    def running(self) -> Iterator[Load]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join(60)

    def statuses(self) -> list[int]:
        return [status for _, status, _ in list(self.answers)]

    def _run(self) -> None:
        while not self._done.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            begun = time.monotonic()
            try:
                status = self._post(number)
            except httpx.HTTPError:
                status = 0  # nobody answered
            self.answers.append((begun, status, number))
            self._done.wait(self._pause_s)

    def _tick(self) -> None:
        before = time.monotonic()
        while not self._done.wait(0.01):
            now = time.monotonic()
            self.stalled_s, before = max(self.stalled_s, now - before - 0.01), now
