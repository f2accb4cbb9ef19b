"""Events to the disk first, and from there to Kafka: emit() returns when they are durable.

Group commit: the first thread to come writes and fsyncs for all that came meanwhile, so threads share the disk's
waiting time and one thread alone pays for one fsync. The spool is the only way to Kafka, so there is one order, and it
is the same while the broker is away, when it comes back, and in the next process.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenmeter.emit.forwarder import Forwarder
from tokenmeter.emit.sender import OnDelivery, OnFull, Stats
from tokenmeter.emit.spool import SPOOL_BYTES_MIN, Held, Spool
from tokenmeter.emit.stamp import Row, Stamper
from tokenmeter.emit.trouble import Trouble
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import BufferFull, Misconfigured, SpoolUnusable, TokenmeterError, Undelivered

CLOSE_TIMEOUT_S = 5.0
"""How long close() waits for Kafka; what is left by then is on the disk."""
FULL_CHECK_S = 1.0

_PLAIN = (BufferFull, Misconfigured, SpoolUnusable)
"""What a spool raises."""
_log = logging.getLogger(__name__)


@dataclass
class _Group:
    """Rows that share one fsync. ``sequence`` is the number before its first row."""

    sequence: int | None = None
    rows: list[Row] = field(default_factory=list)
    callbacks: list[tuple[int, OnDelivery]] = field(default_factory=list)
    done: bool = False
    error: BaseException | None = None


class SpooledSender:
    """Owns the spool in ``folder`` and the thread that empties it; see emitter.Emitter."""

    def __init__(
        self, stamper: Stamper, settings: Mapping[str, Any], folder: Path, bytes_max: int, on_full: OnFull
    ) -> None:
        if bytes_max < SPOOL_BYTES_MIN:
            raise Misconfigured(f"a spool of {bytes_max} bytes is too small", hint=f"at least {SPOOL_BYTES_MIN}")
        self._stamper, self._bytes_max, self._on_full = stamper, bytes_max, on_full
        self._pid = os.getpid()
        self._trouble = Trouble()
        self._spool = Spool(folder)
        self._first_id = self._spool.last_id + 1
        self._used_bytes = self._spool.size_bytes
        self._changed = threading.Condition()
        self._gathering, self._committing, self._closed = _Group(), False, False
        self._callbacks: dict[int, OnDelivery] = {}
        self._accepted = self._acknowledged = 0
        try:
            self._forwarder = Forwarder(self._spool, self._trouble.heard_by(settings), self)
        except BaseException:
            self._spool.close()
            raise
        self._forwarder.start()

    def stats(self) -> Stats:
        held = self._spool.events  # not under the condition: whoever writes may wait for the disk
        with self._changed:
            return Stats(self._accepted, self._acknowledged, 0, held)

    def send(self, events: Sequence[UsageEvent], on_delivery: OnDelivery | None) -> None:
        if not events:
            return
        with self._changed:
            group = self._join(events, on_delivery)
            while self._committing and not group.done:
                self._changed.wait()
            leads = not group.done
            if leads:
                self._gathering, self._committing = _Group(), True
        if leads:
            self._commit(group)
        if group.error is not None:
            raise _again(group.error)

    def flush(self, timeout_s: float) -> None:
        with self._changed:
            self._check()
        through = self._spool.last_id
        if self._sent(through, timeout_s):
            return
        with self._changed:
            self._check()
        missing = self._spool.remaining(through)
        cause = self._forwarder.cause or f"no acknowledgement within {timeout_s:g} s{self._trouble.told()}"
        if missing:
            raise Undelivered(
                missing,
                f"{missing} events are still in the spool {self._spool.folder}: {cause}",
                hint="nothing is lost: they are sent when Kafka takes them, by this process, the next one, "
                f"or tokenmeter spool drain {self._spool.folder}",
            )

    def close(self, timeout_s: float | None, quietly: bool) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._committing)
        try:
            self._sent(self._spool.last_id, CLOSE_TIMEOUT_S if timeout_s is None else timeout_s)
        finally:
            self._forwarder.stop()
            self._spool.close()
        if self._forwarder.error is not None and not quietly:
            raise _again(self._forwarder.error)

    def poll(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait(timeout_s)

    def acknowledged(self, rows: Sequence[Held]) -> None:
        """The forwarder's word (see forwarder.Watcher)."""
        with self._changed:
            self._acknowledged += sum(held.id >= self._first_id for held in rows)
            callbacks = [self._callbacks.pop(held.id) for held in rows if held.id in self._callbacks]
        for callback in callbacks:
            try:
                callback(None)
            except Exception:  # the thread must go on: others' events are behind it
                _log.exception("on_delivery raised")
        with self._changed:
            self._changed.notify_all()

    def removed(self, rows: Sequence[Held]) -> None:
        """The forwarder's word."""
        with self._changed:
            self._used_bytes -= sum(held.row.size_bytes for held in rows)
            self._changed.notify_all()

    def stopped(self) -> None:
        """The forwarder's word."""
        with self._changed:
            self._changed.notify_all()

    def _join(self, events: Sequence[UsageEvent], on_delivery: OnDelivery | None) -> _Group:
        """Number the events behind all others and add them to the group that is gathering, once there is room."""
        while True:
            self._check()
            before = self._stamper.sequence
            try:
                rows = [self._stamper.row(event) for event in events]
            except BaseException:
                self._stamper.sequence = before
                raise
            size_bytes = sum(row.size_bytes for row in rows)
            if self._used_bytes + size_bytes <= self._bytes_max:
                break
            self._stamper.sequence = before
            if self._on_full == "raise" or size_bytes > self._bytes_max:
                raise BufferFull(
                    f"the spool {self._spool.folder} has no room for {size_bytes} bytes: it holds {self._used_bytes} "
                    f"of {self._bytes_max}" + (f"; {self._forwarder.cause}" if self._forwarder.cause else ""),
                    hint="check the brokers, emit fewer at once, or give the emitter a larger spool_bytes",
                )
            self._changed.wait(FULL_CHECK_S)
        group = self._gathering
        group.sequence = before if group.sequence is None else group.sequence
        if on_delivery is not None:
            group.callbacks += ((len(group.rows) + place, on_delivery) for place in range(len(rows)))
        group.rows += rows
        self._used_bytes += size_bytes
        return group

    def _commit(self, group: _Group) -> None:
        error: BaseException | None = None
        ids = range(0)
        try:
            ids = self._spool.append(group.rows)
        except BaseException as failed:
            error = failed
        with self._changed:
            if error is None:
                self._accepted += len(ids)
                # Before the forwarder may read them, so that no acknowledgement comes before its callback.
                self._callbacks.update((ids[place], callback) for place, callback in group.callbacks)
                self._forwarder.forward(ids[-1])
            else:
                self._fail(group, error)
                if isinstance(error, TokenmeterError) and group.sequence is not None:
                    # Those that gather have later numbers: they fail as well, and the numbers are given again.
                    self._fail(self._gathering, error)
                    self._gathering, self._stamper.sequence = _Group(), group.sequence
            group.done, self._committing = True, False
            self._changed.notify_all()

    def _fail(self, group: _Group, error: BaseException) -> None:
        group.error, group.done = error, True
        self._used_bytes -= sum(row.size_bytes for row in group.rows)

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise Misconfigured(
                f"the emitter over the spool {self._spool.folder} was made by process {self._pid}, before a fork",
                hint="make one emitter, with a spool of its own, in each process",
            )
        if self._closed:
            raise Misconfigured(f"the emitter over the spool {self._spool.folder} is closed", hint="make a new one")
        if self._forwarder.error is not None:
            raise _again(self._forwarder.error)

    def _sent(self, through: int, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._forwarder.error is None:
                if not self._spool.holds(through):
                    return True
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
        return False


def _again(error: BaseException) -> BaseException:
    """The same error for one more thread: an exception carries one traceback."""
    return type(error)(error.message, hint=error.hint) if isinstance(error, _PLAIN) else error
