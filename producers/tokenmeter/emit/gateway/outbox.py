"""Hands events to Kafka and tells each request how many were acknowledged.

One thread polls the client for all requests; a request waits for one future, however many events it has.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Producer

from tokenmeter.emit import client
from tokenmeter.emit.event_encoder import Encoded
from tokenmeter.events.contract import EVENTS

BUFFER_EVENTS = 100_000
LINGER_MS = 5
"""Long enough for the posts of some hundred callers to share a request to the broker."""
POLL_S = 0.002
CLOSE_S = 30.0


class Outgoing(NamedTuple):
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
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.acknowledged = [False] * count
        self._left = count

    def less(self, count: int) -> None:
        self._left -= count
        if not self._left:
            # At the end of the gateway the client is flushed by another thread.
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class KafkaOutbox:
    """At most ``buffer_events`` wait in memory; what finds no room is not sent and not acknowledged.

    For one event loop, which polls the client itself: a thread for it would wait for Python's lock at every event that
    is acknowledged, while the loop has it, and took a third of the gateway's time to do so.
    """

    def __init__(
        self, bootstrap_servers: str, given: Mapping[str, Any] | None = None, buffer_events: int = BUFFER_EVENTS
    ) -> None:
        self.source = f"{socket.gethostname()}-gateway-{secrets.token_hex(6)}"
        settings = client.direct(bootstrap_servers, buffer_events, {"linger.ms": LINGER_MS, **(given or {})})
        self._producer = Producer(settings)
        self._sequence = self._accepted = self._acknowledged = self._failed = 0
        self._polling = False

    def stats(self) -> dict[str, int]:
        """Events handed to the client, acknowledged, and given up."""
        told = {"accepted": self._accepted, "acknowledged": self._acknowledged, "failed": self._failed}
        return {**told, "pending": self._pending}

    async def send(self, events: Sequence[Outgoing], within_s: float) -> Sequence[bool]:
        """See Outbox."""
        if not events:
            return []
        waiting = _Waiting(len(events))
        sent = self._produce(events, waiting)
        if sent < len(events):
            waiting.less(len(events) - sent)
        if not self._polling:
            self._poll()
        try:
            async with asyncio.timeout(within_s):
                await waiting.done
        except TimeoutError:
            pass  # the caller hears which arrived, and that sending the others again is safe
        return tuple(waiting.acknowledged)

    def close(self) -> None:
        """Wait for what is on its way, but not for ever."""
        self._producer.flush(CLOSE_S)

    @property
    def _pending(self) -> int:
        return self._accepted - self._acknowledged - self._failed

    def _produce(self, events: Sequence[Outgoing], waiting: _Waiting) -> int:
        """Hand over as many as there is room for; how many."""
        produce = self._producer.produce
        for place, event in enumerate(events):
            source, number = (event.source, event.sequence) if event.source else (self.source, self._sequence)
            value = event.encoded.stamped(source, number)
            try:
                produce(EVENTS, value, event.key, on_delivery=partial(self._delivered, waiting, place))
            except BufferError:
                return place
            self._sequence += not event.source
            self._accepted += 1
        return len(events)

    def _delivered(self, waiting: _Waiting, place: int, error: Any, message: Any) -> None:
        if error is None:
            self._acknowledged += 1
            waiting.acknowledged[place] = True
        else:
            self._failed += 1
        waiting.less(1)

    def _poll(self) -> None:
        """Let the client tell what became of events, again and again while there are any."""
        self._producer.poll(0)
        self._polling = self._pending > 0
        if self._polling:
            asyncio.get_running_loop().call_later(POLL_S, self._poll)
