"""The SDK's client: usage events into Kafka, each acknowledged or reported.

with Emitter("localhost:9092", spool="/var/lib/app/spool") as emitter:
    emitter.emit(UsageEvent(event_id=..., occurred_at=..., customer_id=..., model=..., provider=...))

What emit() returning means:

    without a spool   it will be sent if this process lives; flush() or on_delivery say whether it arrived
    with a spool      it is on this machine's disk, fsynced, and will reach Kafka: from this process, or, whatever
                      ends it (kill -9, power), from the next one that opens the spool or `tokenmeter spool drain`
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tokenmeter.emit import client
from tokenmeter.emit.direct import FLUSH_TIMEOUT_S, DirectSender
from tokenmeter.emit.forwarder import WINDOW_EVENTS
from tokenmeter.emit.sender import OnDelivery, OnFull, Sender, Stats
from tokenmeter.emit.spool import SPOOL_BYTES
from tokenmeter.emit.spooled import SpooledSender
from tokenmeter.emit.stamp import Stamper
from tokenmeter.events import UsageEvent
from tokenmeter.events.access import client_of
from tokenmeter.events.contract import EVENTS

BUFFER_EVENTS = 100_000

__all__ = ["Emitter", "Stats", "paced"]


class Emitter:
    """Thread-safe. ``source`` names this emitter; with ``sequence`` (+1 each) it shows events lost before Kafka. Both
    are stamped only on events that carry no source of their own. ``client_config`` adds settings of confluent-kafka
    (TLS, SASL); without them TOKENMETER_KAFKA_USER and the like are used, see tokenmeter.events.access.

    Without a spool at most ``buffer_events`` unacknowledged events are held in memory. With ``spool``, a directory of
    this emitter's own, at most ``spool_bytes`` of keys and values are held on disk. When that is full, emit() blocks or
    raises BufferFull, as ``on_full`` says.

    With a spool every event takes the same way, disk first, so events reach Kafka in the order in which emit() took
    them, behind all that the spool held before, whether or not the broker was away in between. Kafka is tried for ever;
    an event that it refuses (say, because the topic is gone) holds up those behind it and is named by flush(). An event
    leaves the spool after Kafka acknowledged it; a crash in between sends it again, with the same bytes, and it counts
    once. A spool has one owner at a time; a dead owner's lock is free.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str | None = None,
        topic: str = EVENTS,
        buffer_events: int = BUFFER_EVENTS,
        on_full: OnFull = "block",
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = SPOOL_BYTES,
        client_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises Misconfigured or SpoolUnusable if the spool cannot be used; see spool.Spool."""
        self.source = source or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        stamper = Stamper(self.source, topic)
        given = client_of(bootstrap_servers, "producer", client_config)
        self._sender: Sender
        if spool is None:
            settings = client.direct(bootstrap_servers, buffer_events, given)
            self._sender = DirectSender(stamper, settings, buffer_events, on_full)
        else:
            settings = client.spooled(bootstrap_servers, WINDOW_EVENTS, given)
            self._sender = SpooledSender(stamper, settings, Path(spool), spool_bytes, on_full)

    @property
    def stats(self) -> Stats:
        """Counts so far."""
        return self._sender.stats()

    def emit(self, event: UsageEvent, on_delivery: OnDelivery | None = None) -> None:
        """Take one event; the module says what returning means. With a spool it waits for one fsync, which threads
        that emit at the same time share.

        Raises Poison if it is too large, BufferFull if it has no room and may not wait (or the spool's disk is full),
        SpoolUnusable if the spool fails. An event whose emit() raised was not accepted; emitting it again is right.

        ``on_delivery`` is called once, with None when Kafka has the event, or (without a spool) with the cause; from
        whichever thread polls, or the spool's own. It must not block.
        """
        self._sender.send((event,), on_delivery)

    def emit_many(self, events: Sequence[UsageEvent], on_delivery: OnDelivery | None = None) -> None:
        """Take several, in order. With a spool all of them or none, for one fsync; without, as emit() one by one.

        ``on_delivery`` is called once for each event.
        """
        self._sender.send(events, on_delivery)

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Wait until Kafka has acknowledged everything accepted, and with a spool everything that it held before.

        Raises Undelivered, naming how many events are not there and the cause. Without a spool those are lost, and
        each is told of once; with one they are still on the disk and still on their way.
        """
        self._sender.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """End, as a ``with`` block does. Without a spool this is flush().

        With a spool it waits ``timeout_s`` (default: 5 s) for Kafka and lets go of the spool; what is left there is
        durable, so it is no error: ``stats.spooled`` says how much. emit() raises from then on.
        """
        self._sender.close(timeout_s, quietly=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sender.close(None, quietly=error is not None)

    def poll(self, timeout_s: float) -> None:
        """Let delivery callbacks run for up to ``timeout_s``."""
        self._sender.poll(timeout_s)


def paced(began: float, elapsed_in_trace_s: float, speed: float | None) -> None:
    """Sleep until the trace's clock, run at ``speed`` times real time, has come this far; None means no pacing."""
    if speed is not None:
        ahead = elapsed_in_trace_s / speed - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
