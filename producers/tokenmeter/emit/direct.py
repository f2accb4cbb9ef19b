"""Events straight to Kafka, held in memory until they are acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Producer

from tokenmeter.emit.sender import OnDelivery, OnFull, Stats
from tokenmeter.emit.stamp import Stamper
from tokenmeter.emit.trouble import Trouble
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import BufferFull, Undelivered

FLUSH_TIMEOUT_S = 30.0
FULL_POLL_S = 0.05
FLUSH_LOOK_S = 0.5
UNKNOWN_HOST_S = 5.0
"""flush() waits no longer for brokers none of whose names can be resolved: most likely the address is wrong."""


class DirectSender:
    """At most ``buffer_events`` unacknowledged events; see emitter.Emitter."""

    def __init__(self, stamper: Stamper, settings: Mapping[str, Any], buffer_events: int, on_full: OnFull) -> None:
        self._stamper = stamper
        self._buffer_events = buffer_events
        self._on_full = on_full
        self._lock = threading.Lock()
        self._counts = threading.Lock()
        self._accepted = self._acknowledged = self._failed = self._told = 0
        self._first_error: str | None = None
        self._waited_s = 0.0
        self._trouble = Trouble()
        self._producer = Producer(self._trouble.heard_by(settings))

    def stats(self) -> Stats:
        self._producer.poll(0)
        return Stats(self._accepted, self._acknowledged, self._failed)

    def send(self, events: Sequence[UsageEvent], on_delivery: OnDelivery | None) -> None:
        delivered = self._delivered if on_delivery is None else partial(self._delivered_to, on_delivery)
        for event in events:
            with self._lock:
                self._make_room()
                before = self._stamper.sequence
                row = self._stamper.row(event)
                try:
                    self._producer.produce(row.topic, row.value, row.key, on_delivery=delivered)
                except BufferError as error:
                    self._stamper.sequence = before
                    raise BufferFull(
                        "the client's queue is full of unacknowledged events", hint="call flush(), or slow down"
                    ) from error
                with self._counts:
                    self._accepted += 1
                self._producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        waiting = self._flushed(timeout_s)
        with self._counts:
            missing = self._failed - self._told + waiting
            cause = self._first_error or f"no acknowledgement within {self._waited_s:.1f} s{self._trouble.told()}"
            self._told, self._first_error = self._failed, None
        if missing:
            raise Undelivered(
                missing,
                f"{missing} of {self._accepted} events did not reach {self._stamper.topic}: {cause}",
                hint="check the brokers, then emit the same events again: an event id counts once",
            )

    def _flushed(self, timeout_s: float) -> int:
        """How many still wait after ``timeout_s``, or earlier when no broker has a name that is known."""
        began = time.monotonic()
        deadline = began + timeout_s
        while waiting := self._producer.flush(max(0.0, min(FLUSH_LOOK_S, deadline - time.monotonic()))):
            now = time.monotonic()
            in_vain = self._trouble.is_name and not self._acknowledged and now - began >= UNKNOWN_HOST_S
            if now >= deadline or in_vain:
                break
        self._waited_s = time.monotonic() - began
        return int(waiting)

    def close(self, timeout_s: float | None, quietly: bool) -> None:
        within_s = FLUSH_TIMEOUT_S if timeout_s is None else timeout_s
        if quietly:
            self._flushed(within_s)
        else:
            self.flush(within_s)

    def poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)

    def _make_room(self) -> None:
        while self._accepted - self._acknowledged - self._failed >= self._buffer_events:
            if self._on_full == "raise":
                self._producer.poll(0)
                if self._accepted - self._acknowledged - self._failed >= self._buffer_events:
                    raise BufferFull(
                        f"{self._buffer_events} events wait for Kafka's acknowledgement",
                        hint="call flush(), or slow down",
                    )
                return
            self._producer.poll(FULL_POLL_S)

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        # Called by whichever thread polls: emit's, flush's or that of stats.
        with self._counts:
            if error is None:
                self._acknowledged += 1
            else:
                self._failed += 1
                self._first_error = self._first_error or error.str()

    def _delivered_to(self, on_delivery: OnDelivery, error: KafkaError | None, message: Any) -> None:
        with self._counts:
            if error is None:
                self._acknowledged += 1
            else:
                self._failed += 1
                self._told += 1
        on_delivery(None if error is None else error.str())
