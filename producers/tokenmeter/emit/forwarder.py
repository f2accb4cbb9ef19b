"""Sends what a spool holds, in its order, until Kafka has acknowledged it; only then is it removed.

One thread. When Kafka refuses an event, nothing behind it is sent until it has been taken: the producer is gapless
and is made anew from the spool's first row. Whatever was acknowledged but not yet removed at a crash is sent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from tokenmeter.emit.spool import Held, Spool
from tokenmeter.events.errors import BufferFull, Fatal, TokenmeterError

WINDOW_EVENTS = 10_000
"""Sent and not yet removed at once; see also client.WINDOW_BYTES."""
READ_EVENTS = 1_000
READ_BYTES = 4 << 20
POLL_S = 0.01
IDLE_S = 1.0
REMOVE_EVERY_S = 0.05
"""Acknowledged rows are removed together, so that removing does not stand in the way of appending."""
REMOVE_RETRY_S = 1.0
RETRY_S, RETRY_MAX_S = 0.5, 15.0
PURGE_S = 5.0


class Watcher(Protocol):
    """Who wants to know; called from the forwarder's thread, and must not block."""

    def acknowledged(self, rows: Sequence[Held]) -> None:
        """Kafka has these; once for each row."""

    def removed(self, rows: Sequence[Held]) -> None:
        """The spool has room for as many bytes again."""

    def stopped(self) -> None:
        """It was told to, or ``Forwarder.error`` says why."""


class Forwarder:
    """Runs from start() to stop(). ``cause`` says why Kafka does not take events now, ``error`` why it never will."""

    def __init__(self, spool: Spool, settings: Mapping[str, Any], watcher: Watcher) -> None:
        self.cause: str | None = None
        self.error: TokenmeterError | None = None
        self._spool, self._watcher = spool, watcher
        self._settings = {"error_cb": self._troubled, **settings}
        self._through = spool.last_id
        self._cursor = 0
        self._outstanding = 0
        self._acknowledged: dict[int, Held] = {}
        self._new: list[Held] = []
        self._refused: str | None = None
        self._retry_s = RETRY_S
        self._remove_at = 0.0
        self._producer: Producer | None = Producer(self._settings)  # here, so that a wrong setting is the caller's
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenmeter-forwarder", daemon=True)

    def start(self) -> None:
        """Begin with the spool's first row."""
        self._thread.start()

    def forward(self, through: int) -> None:
        """Rows up to id ``through`` may go."""
        self._through = max(self._through, through)
        self._wake.set()

    def stop(self) -> None:
        """End; what is not acknowledged by now stays in the spool."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._step()
            self._let_go()
            self._remove()
        except TokenmeterError as error:
            self.error = error
        except Exception as error:  # whoever emits must hear of it, whatever it is
            self.error = Fatal(f"the spool {self._spool.folder} is no longer sent: {type(error).__name__}: {error}")
        finally:
            self._watcher.stopped()

    def _step(self) -> None:
        producer = self._producer = self._producer or Producer(self._settings)
        room = WINDOW_EVENTS - self._outstanding - len(self._acknowledged)
        sent = self._send(producer, room) if self._cursor < self._through and room > 0 else 0
        try:
            producer.poll(0 if sent or not self._outstanding else POLL_S)
        except KafkaException as failed:
            self._refused = self._refused or failed.args[0].str()
        self._tell()
        if self._refused is not None:
            self._again(self._refused)
        if self._acknowledged and time.monotonic() >= self._remove_at:
            self._remove()
        if not sent and not self._outstanding:
            self._wake.wait(REMOVE_EVERY_S if self._acknowledged else IDLE_S)
            self._wake.clear()

    def _send(self, producer: Producer, room: int) -> int:
        through = self._through  # before the read: whoever raises it has appended by then
        sent = 0
        for held in self._spool.read(self._cursor, min(room, READ_EVENTS), READ_BYTES):
            if held.id > through:
                break
            if held.id not in self._acknowledged:
                try:
                    row = held.row
                    producer.produce(row.topic, row.value, row.key, on_delivery=partial(self._delivered, held))
                except BufferError:
                    break  # as many bytes are under way as may be
                except KafkaException as refused:
                    self._refused = refused.args[0].str()
                    break
                self._outstanding += 1
                sent += 1
            self._cursor = held.id
        return sent

    def _delivered(self, held: Held, error: KafkaError | None, message: Any) -> None:
        self._outstanding -= 1
        if error is None:
            self._acknowledged[held.id] = held
            self._new.append(held)
        elif self._refused is None:
            self._refused = error.str()

    def _troubled(self, error: KafkaError) -> None:
        self.cause = error.str()

    def _tell(self) -> None:
        if self._new:
            new, self._new = self._new, []
            self._retry_s = RETRY_S
            self.cause = None
            self._watcher.acknowledged(new)

    def _again(self, cause: str) -> None:
        """Kafka refused a row: give up what is under way and begin with the first row, a little later."""
        self._let_go()
        self.cause, self._refused = cause, None
        self._cursor = 0
        self._stop.wait(self._retry_s)
        self._retry_s = min(RETRY_MAX_S, self._retry_s * 2)

    def _let_go(self) -> None:
        """End this producer; what it was still acknowledged is counted."""
        if self._producer is not None:
            with suppress(KafkaException):  # a producer that failed for good says so again
                self._producer.purge()
            with suppress(KafkaException):
                self._producer.flush(PURGE_S)
        self._producer, self._outstanding = None, 0
        self._tell()

    def _remove(self) -> None:
        gone = list(self._acknowledged.values())
        try:
            self._spool.remove(gone)
        except BufferFull as full:  # even removing needs some disk; they are not sent again meanwhile
            self.cause = full.message
            self._remove_at = time.monotonic() + REMOVE_RETRY_S
            return
        self._acknowledged.clear()
        self._remove_at = time.monotonic() + REMOVE_EVERY_S
        self._watcher.removed(gone)
