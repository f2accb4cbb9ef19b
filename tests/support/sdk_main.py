"""An application that uses the SDK and can be broken: ``python -m support.sdk_main SPEC.json``.

Each of its threads emits events of a customer of its own, numbered, and writes the number to ``accepted`` *after*
emit() returned. The emitter is the user's; only its spool is wrapped, to kill the process at a point or to do one
thing wrongly.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from tokenmeter.emit import Emitter, spooled
from tokenmeter.emit.spool import Held, Spool
from tokenmeter.emit.stamp import Row
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Undelivered

PAUSE_S = 0.001
CLOSE_S = 90.0
LATE_ROWS = 50
DROP_AFTER_MS = 1_000
Where = Literal["before append", "inside append", "after append", "after read", "before remove", "after remove"]


@dataclass(frozen=True)
class Point:
    """Where the process kills itself: the ``occurrence``-th time (1 is the first) it comes there."""

    where: Where
    occurrence: int = 1


@dataclass(frozen=True)
class Spec:
    """``first``: each thread's first number; ``life``: how many processes had this spool before. Emits until ``stop``
    exists or each thread has sent ``events``, then closes.

    ``mutant``: late (the spool keeps rows in memory and writes them later), drop (no spool; what is not delivered
    within a second is forgotten).
    """

    bootstrap: str
    name: str
    folder: Path
    first: tuple[int, ...] = (0, 0)
    life: int = 0
    events: int | None = None
    pause_s: float = PAUSE_S
    point: Point | None = None
    mutant: Literal["late", "drop"] | None = None

    @property
    def spool(self) -> Path:
        return self.folder / f"{self.name}.spool"

    @property
    def source(self) -> str:
        return f"{self.name}.{self.life}"

    @property
    def accepted(self) -> Path:
        return self.folder / f"{self.source}.accepted"

    @property
    def stop(self) -> Path:
        return self.folder / "stop"

    def customer(self, thread: int) -> str:
        return f"{self.name}/{thread}"

    def event_id(self, thread: int, number: int) -> str:
        return f"{self.customer(thread)}/{number:06d}"


class BreakingSpool(Spool):
    """Production's, with one point at which the process ends; the late mutant buffers in memory."""

    point: Point | None = None
    late = False

    def __init__(self, folder: Path) -> None:
        self._seen = 0
        self._buffer: list[Row] = []
        super().__init__(folder)
        if self.point is not None and self.point.where == "inside append":
            # Called as a statement begins: the rows are inserted, their commit has not happened.
            self._appender.set_trace_callback(lambda sql: self._come("inside append") if sql == "COMMIT" else None)

    def append(self, rows: Sequence[Row]) -> range:
        self._come("before append")
        ids = self._append_late(rows) if self.late else super().append(rows)
        self._come("after append")
        return ids

    def read(self, after: int, events_max: int, bytes_max: int) -> list[Held]:
        found = super().read(after, events_max, bytes_max)
        self._come("after read")
        return found

    def remove(self, held: Iterable[Held]) -> None:
        self._come("before remove")
        super().remove(held)
        self._come("after remove")

    def _come(self, where: Where) -> None:
        if self.point is not None and where == self.point.where:
            self._seen += 1
            if self._seen == self.point.occurrence:
                os.kill(os.getpid(), signal.SIGKILL)

    def _append_late(self, rows: Sequence[Row]) -> range:
        first = self.last_id + len(self._buffer) + 1
        self._buffer += rows
        if len(self._buffer) >= LATE_ROWS:
            super().append(self._buffer)
            self._buffer = []
        return range(first, first + len(rows))


def call(spec: Spec, thread: int, number: int) -> UsageEvent:
    return UsageEvent(
        event_id=spec.event_id(thread, number),
        occurred_at=datetime.now(UTC),
        customer_id=spec.customer(thread),
        model="a/one",
        provider="p",
        input_tokens=number,
    )


def emit(spec: Spec, emitter: Emitter, thread: int, accepted: int) -> None:
    number = spec.first[thread]
    while not spec.stop.exists() and (spec.events is None or number < spec.first[thread] + spec.events):
        emitter.emit(call(spec, thread, number))
        os.write(accepted, f"{thread} {number}\n".encode())
        number += 1
        time.sleep(spec.pause_s)


def run(spec: Spec) -> int:
    """Exit code 0 if Kafka has everything at the end."""
    if spec.mutant == "drop":
        quick = {"delivery.timeout.ms": DROP_AFTER_MS, "request.timeout.ms": DROP_AFTER_MS}
        emitter = Emitter(spec.bootstrap, source=spec.source, client_config=quick)
    else:
        emitter = Emitter(spec.bootstrap, source=spec.source, spool=spec.spool)
    accepted = os.open(spec.accepted, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    threads = [threading.Thread(target=emit, args=(spec, emitter, n, accepted)) for n in range(len(spec.first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if spec.mutant == "drop":
        with suppress(Undelivered):
            emitter.close(CLOSE_S)
        return 0
    emitter.close(CLOSE_S)
    return 0 if emitter.stats.spooled == 0 else 3


def main() -> None:
    specs = TypeAdapter(tuple[Spec, ...]).validate_json(Path(sys.argv[1]).read_bytes())
    BreakingSpool.point, BreakingSpool.late = specs[0].point, specs[0].mutant == "late"
    spooled.Spool = BreakingSpool  # type: ignore[misc]
    sys.exit(max(run(spec) for spec in specs))


if __name__ == "__main__":
    main()
