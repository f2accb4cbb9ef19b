"""When each part was seen to work, and so when it is back after it was disturbed. Fed by others; brings no clock."""

from __future__ import annotations

import threading
from collections import defaultdict

from week.plan import WORKERS

SIGNS = 2
"""Of a worker: one page may have been on its way to Kafka when the worker was killed."""


class Signs:
    """Thread-safe. Times are seconds of one clock that only rises."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._positions: dict[str, int] = {}
        self._lock = threading.Lock()

    def answered(self, name: str, asked_at: float, at: float) -> None:
        """It did what it was asked."""
        with self._lock:
            self._seen[name].append((asked_at, at))

    def position(self, name: str, position: int, asked_at: float, at: float) -> None:
        """A worker's place on what it reads; only that it moved is a sign."""
        if position > self._positions.get(name, 0):
            self._positions[name] = position
            self.answered(name, asked_at, at)

    def back_at(self, name: str, since: float) -> float | None:
        """When it had worked again; None: not yet."""
        wanted = SIGNS if name in WORKERS else 1
        with self._lock:
            after = [at for asked_at, at in self._seen[name] if asked_at >= since]
        return after[wanted - 1] if len(after) >= wanted else None
