"""Notices a call to Kafka that does not return, and ends the worker.

librdkafka does not keep the timeout it is given when the coordinator dies under ``send_offsets_to_transaction``. Up to
2.15 it finds the one that is back, 2.16 waits for ever, and a coordinator that never returns is waited for by any. A
worker that ends is back seconds later, and resumes at its last page.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokenmeter.events.errors import Fatal

OFFSETS_CALL_S = 12.0
"""A position that has not been taken by then will not be; a coordinator that moves takes less."""
KAFKA_CALL_S = 20.0
"""Any other call of a transaction: a commit first sends what is still to be sent."""
LOOK_S = 1.0


class Calls:
    """Which calls are under way, and by when each should have returned. Used by many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[object, tuple[float, str]] = {}

    @contextmanager
    def made(self, what: str, within_s: float = KAFKA_CALL_S) -> Iterator[None]:
        """Around one call."""
        this = object()
        self._due[this] = (self._clock() + within_s, what)
        try:
            yield
        finally:
            del self._due[this]

    def late(self) -> list[str]:
        """What should have returned by now."""
        now = self._clock()
        return [what for due, what in list(self._due.values()) if now > due]

    def watch(self, die: Callable[[BaseException], None], look_s: float = LOOK_S) -> None:
        """Look in a thread of its own, for the event loop may wait for what hangs; ``die`` when one is late."""

        def look() -> None:
            while not (late := self.late()):
                time.sleep(look_s)
            die(
                Fatal(
                    f"{late[0]} does not return: Kafka went away under it ({len(late)} calls)",
                    hint="the worker restarts and resumes at the last committed page",
                )
            )

        threading.Thread(target=look, name="calls", daemon=True).start()


CALLS = Calls()
"""Those of this process."""
