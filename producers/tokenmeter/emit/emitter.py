"""The SDK's client: usage events into Kafka, each acknowledged or reported.

with Emitter("localhost:9092") as emitter:
    emitter.emit(UsageEvent(event_id=..., occurred_at=..., customer_id=..., model=..., provider=...))
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from confluent_kafka import KafkaError, Producer

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import EVENT_BYTES_MAX, EVENTS
from tokenmeter.events.errors import BufferFull, Poison, Undelivered
from tokenmeter.events.wire import encode

BUFFER_EVENTS = 100_000
FLUSH_TIMEOUT_S = 30.0
DELIVERY_TIMEOUT_S = 120.0
"""How long Kafka is tried before an event is reported undelivered."""


@dataclass(frozen=True)
class Stats:
    """Events taken by emit(), acknowledged by every in-sync replica, and given up."""

    accepted: int
    acknowledged: int
    failed: int

    @property
    def pending(self) -> int:
        return self.accepted - self.acknowledged - self.failed


class Emitter:
    """Thread-safe. At most ``buffer_events`` unacknowledged events are held; then emit() blocks or raises BufferFull.

    ``source`` names this emitter; with ``sequence`` (+1 each) it shows events lost before Kafka. Both are stamped only
    on events that carry no source of their own. ``client_config`` adds settings of confluent-kafka (TLS, SASL).
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str | None = None,
        topic: str = EVENTS,
        buffer_events: int = BUFFER_EVENTS,
        on_full: Literal["block", "raise"] = "block",
        client_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = source or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._topic = topic
        self._buffer_events = buffer_events
        self._on_full = on_full
        self._lock = threading.Lock()
        self._sequence = 0
        self._counts = threading.Lock()
        self._accepted = self._acknowledged = self._failed = self._told = 0
        self._first_error: str | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "batch.size": 1 << 20,
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                "message.max.bytes": EVENT_BYTES_MAX + 4096,
                "queue.buffering.max.messages": buffer_events + 1,
                "queue.buffering.max.kbytes": 1 << 20,
                "log_level": 2,
                **(client_config or {}),
            }
        )

    @property
    def stats(self) -> Stats:
        """Counts so far."""
        self._producer.poll(0)
        return Stats(self._accepted, self._acknowledged, self._failed)

    def emit(self, event: UsageEvent, on_delivery: Callable[[str | None], None] | None = None) -> None:
        """Take one event. Raises Poison if it is too large, BufferFull if it has no room and may not wait.

        Returning means it will be sent; only flush() says that it arrived, or ``on_delivery``, which is called once
        with None or the cause (from whichever thread polls), and must not block.
        """
        delivered = self._delivered if on_delivery is None else partial(self._delivered_to, on_delivery)
        with self._lock:
            self._make_room()
            value, ours = self._encode(event)
            try:
                self._producer.produce(self._topic, value, event.customer_id.encode(), on_delivery=delivered)
            except BufferError as error:
                raise BufferFull(
                    "the client's queue is full of unacknowledged events", hint="call flush(), or slow down"
                ) from error
            self._sequence += ours
            with self._counts:
                self._accepted += 1
            self._producer.poll(0)

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Wait until everything accepted is acknowledged.

        Raises Undelivered, naming how many events are not and the first cause; each lost event is told of once.
        """
        waiting = self._producer.flush(timeout_s)
        with self._counts:
            missing = self._failed - self._told + waiting
            cause = self._first_error or f"no acknowledgement within {timeout_s:g} s"
            self._told, self._first_error = self._failed, None
        if missing:
            raise Undelivered(
                missing,
                f"{missing} of {self._accepted} events did not reach {self._topic}: {cause}",
                hint="check the brokers, then emit the same events again: an event id counts once",
            )

    def close(self) -> None:
        """flush(), as the end of a ``with`` block does."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        else:  # the body's own error is the one to report
            self._producer.flush(FLUSH_TIMEOUT_S)

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
            self._producer.poll(0.05)

    def _encode(self, event: UsageEvent) -> tuple[bytes, bool]:
        """The wire value, and whether it took the next number of our sequence."""
        record = event.to_record()
        if not record["source"]:
            record["source"] = self.source
        # Numbers under somebody else's name would look like events lost there.
        ours = record["sequence"] is None and record["source"] == self.source
        if ours:
            record["sequence"] = self._sequence
        value = encode("usage_event", record)
        if len(value) > EVENT_BYTES_MAX:
            raise Poison("too_large", f"event {event.event_id} has {len(value)} bytes, {EVENT_BYTES_MAX} are allowed")
        return value, ours

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        # Called by whichever thread polls: emit's, flush's or that of stats.
        with self._counts:
            if error is None:
                self._acknowledged += 1
            else:
                self._failed += 1
                self._first_error = self._first_error or error.str()

    def _delivered_to(self, on_delivery: Callable[[str | None], None], error: KafkaError | None, message: Any) -> None:
        with self._counts:
            if error is None:
                self._acknowledged += 1
            else:
                self._failed += 1
                self._told += 1
        on_delivery(None if error is None else error.str())

    def poll(self, timeout_s: float) -> None:
        """Let delivery callbacks run for up to ``timeout_s``."""
        self._producer.poll(timeout_s)


def paced(began: float, elapsed_in_trace_s: float, speed: float | None) -> None:
    """Sleep until the trace's clock, run at ``speed`` times real time, has come this far; None means no pacing."""
    if speed is not None:
        ahead = elapsed_in_trace_s / speed - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
