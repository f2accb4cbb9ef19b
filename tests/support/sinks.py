"""Sinks for tests: a list of events, and one that fails as asked."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

from tokenmeter.events import UsageEvent
from tokenmeter.events.wire import encode


class Kept:
    """Keeps every event, after encoding it as the emitter would: an event that cannot be sent must not pass here."""

    def __init__(self) -> None:
        self.events: list[UsageEvent] = []

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        for event in events:
            encode("usage_event", event.to_record())
            self.events.append(event)

    def only(self) -> UsageEvent:
        """The one event there is; a stream that was let go ends when it is collected."""
        self.wait_for(1)
        assert len(self.events) == 1, self.events
        return self.events[0]

    def wait_for(self, count: int, within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while len(self.events) < count and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)


class Failing:
    """Raises what it is given, always."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        raise self.error
