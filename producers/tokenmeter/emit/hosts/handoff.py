"""A sink that takes events in a microsecond and hands them on from a thread of its own.

For callers that may not wait for a disk: an event that was handed off is in memory until the thread has emitted it,
some milliseconds later, and kill -9 in between loses it. Use it with an Emitter that has a spool, in an event loop.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import BufferFull, Undelivered

log = logging.getLogger("tokenmeter.meter")

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 500
"""Emitted for one fsync."""
CLOSE_TIMEOUT_S = 10.0


class ManySink(Protocol):
    """The Emitter's own interface for several events."""

    def emit_many(self, events: Sequence[UsageEvent]) -> None: ...


class Handoff:
    """Thread-safe. ``failed`` counts events that the emitter refused; each time is logged."""

    def __init__(self, emitter: ManySink, queue_events: int = QUEUE_EVENTS) -> None:
        self._emitter = emitter
        self._queue: queue.Queue[UsageEvent | None] = queue.Queue(queue_events)
        self._closed = False
        self._door = threading.Lock()
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name="tokenmeter-handoff", daemon=True)
        self._thread.start()

    def emit(self, event: UsageEvent) -> None:
        """Raises BufferFull at once when the queue is full, or after close()."""
        try:
            # Nothing may come behind the end that close() puts in.
            with self._door:
                if self._closed:
                    raise BufferFull("the handoff is closed", hint="emit before close()")
                self._queue.put_nowait(event)
        except queue.Full:
            raise BufferFull(
                f"{self._queue.maxsize} events wait to be emitted", hint="is the emitter's disk or Kafka stuck?"
            ) from None

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Hand on what waits, then end. Raises Undelivered, naming how many were left after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        with self._door:
            already, self._closed = self._closed, True
        if not already:
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=timeout_s)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            left = self._queue.qsize()
            raise Undelivered(left, f"{left} events still wait for the emitter", hint="call close() with more time")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            batch = [event]
            while len(batch) < BATCH_EVENTS and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._send(batch)
                    return
                batch.append(following)
            self._send(batch)

    def _send(self, batch: list[UsageEvent]) -> None:
        try:
            self._emitter.emit_many(batch)
        except Exception as error:
            if len(batch) > 1:
                # One that cannot be sent must not take its neighbours along. Those sent twice count once.
                for event in batch:
                    self._send([event])
                return
            self.failed += 1
            log.error("event %s was not taken by the emitter: %s", batch[0].event_id, type(error).__name__)
