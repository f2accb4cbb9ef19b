"""Hands events to Kafka and tells each request how many were acknowledged.

One thread polls the client for all requests; a request waits for one future, however many events it has.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Producer

from tokenmeter.emit import client
from tokenmeter.emit.event_encoder import Encoded
from tokenmeter.events.contract import EVENTS

BUFFER_EVENTS = 100_000
LINGER_MS = 5
"""Long enough for the posts of some hundred callers to share a request to the broker."""
POLL_S = 0.1
CLOSE_S = 30.0


@dataclass(frozen=True)
class Outgoing:
    """One event. Without a ``source`` of its own it is numbered as the gateway's."""

    key: bytes
    encoded: Encoded
    source: str
    sequence: int | None


class Outbox(Protocol):
    """Where a gateway's events go."""

    def stats(self) -> dict[str, int]: ...

    async def send(self, events: Sequence[Outgoing], within_s: float) -> Sequence[bool]:
        """Which events were acknowledged by every in-sync replica in time. The others may be, later."""
        ...

    def close(self) -> None: ...


class _Waiting:
    """A request whose events are on their way."""

    def __init__(self, count: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.acknowledged = [False] * count
        self._left = count
        self._lock = threading.Lock()

    def delivered(self, place: int, ok: bool) -> None:
        self.acknowledged[place] = ok
        self.less(1)

    def less(self, count: int) -> None:
        with self._lock:
            self._left -= count
            over = self._left == 0 and count > 0
        if over:
            self.loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class KafkaOutbox:
    """Thread-safe. At most ``buffer_events`` wait in memory; what finds no room is not sent and not acknowledged."""

    def __init__(
        self, bootstrap_servers: str, given: Mapping[str, Any] | None = None, buffer_events: int = BUFFER_EVENTS
    ) -> None:
        self.source = f"{socket.gethostname()}-gateway-{secrets.token_hex(6)}"
        settings = client.direct(bootstrap_servers, buffer_events, {"linger.ms": LINGER_MS, **(given or {})})
        self._producer = Producer(settings)
        self._lock = threading.Lock()
        self._sequence = self._accepted = 0
        self._acknowledged = self._failed = 0  # changed by the polling thread alone
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="tokenmeter-gateway-poll", daemon=True)
        self._poller.start()

    def stats(self) -> dict[str, int]:
        """Events handed to the client, acknowledged, and given up."""
        pending = self._accepted - self._acknowledged - self._failed
        told = {"accepted": self._accepted, "acknowledged": self._acknowledged, "failed": self._failed}
        return {**told, "pending": pending}

    async def send(self, events: Sequence[Outgoing], within_s: float) -> Sequence[bool]:
        """See Outbox."""
        if not events:
            return []
        waiting = _Waiting(len(events))
        sent = self._produce(events, waiting)
        waiting.less(len(events) - sent)
        try:
            async with asyncio.timeout(within_s):
                await waiting.done
        except TimeoutError:
            pass  # the caller hears which arrived, and that sending the others again is safe
        return tuple(waiting.acknowledged)

    def close(self) -> None:
        """Wait for what is on its way, but not for ever."""
        self._producer.flush(CLOSE_S)
        self._closing.set()
        self._poller.join(CLOSE_S)

    def _produce(self, events: Sequence[Outgoing], waiting: _Waiting) -> int:
        produce = self._producer.produce
        with self._lock:
            for place, event in enumerate(events):
                ours = not event.source
                source, number = (self.source, self._sequence) if ours else (event.source, event.sequence)
                try:
                    produce(
                        EVENTS,
                        event.encoded.stamped(source, number),
                        event.key,
                        on_delivery=_Delivery(self, waiting, place),
                    )
                except BufferError:
                    return place
                self._sequence += ours
                self._accepted += 1
        return len(events)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)


class _Delivery:
    """What the client calls when the fate of one event is known."""

    __slots__ = ("outbox", "place", "waiting")

    def __init__(self, outbox: KafkaOutbox, waiting: _Waiting, place: int) -> None:
        self.outbox, self.waiting, self.place = outbox, waiting, place

    def __call__(self, error: Any, message: Any) -> None:
        if error is None:
            self.outbox._acknowledged += 1
        else:
            self.outbox._failed += 1
        self.waiting.delivered(self.place, error is None)
