"""Steady load from a thread of its own: what Kafka acknowledged is what must be counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from support.oracle import made
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent

REPEAT_EVERY = 10
"""Each tenth event is sent again at once, as a caller does that missed the answer."""
SLICE_S = 0.05
FLUSH_S = 120.0


class Traffic:
    """``rate`` events a second, at any time another, each with a customer of its own.

    stop() returns once everything is acknowledged.
    """

    def __init__(self, bootstrap: str, rate: int = 400, client_config: Mapping[str, Any] | None = None) -> None:
        self._emitter = Emitter(bootstrap, source="traffic", client_config=client_config)
        self.rate = rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._acknowledged: dict[str, UsageEvent] = {}
        self.copies = 0
        self.failed: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Send no more, whatever becomes of it."""
        self._stopping.set()

    def stop(self) -> None:
        """Send no more, and wait for the acknowledgements."""
        self.end()
        self._thread.join(FLUSH_S)
        self._emitter.flush(FLUSH_S)

    @property
    def sent(self) -> list[UsageEvent]:
        """What was acknowledged, each event once."""
        return list(self._acknowledged.values())

    @property
    def repeated(self) -> int:
        """Acknowledged copies beyond the first."""
        return self.copies - len(self._acknowledged)

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            for event in made(number, max(1, int(self.rate * SLICE_S))):
                for _ in range(2 if number % REPEAT_EVERY == 0 else 1):
                    self._emitter.emit(event, lambda error, event=event: self._told(event, error))  # type: ignore[misc]
                number += 1
            time.sleep(SLICE_S)

    def _told(self, event: UsageEvent, error: str | None) -> None:
        if error is None:
            self._acknowledged[event.customer_id] = event
            self.copies += 1
        else:
            self.failed.append(error)
