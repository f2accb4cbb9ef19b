"""Notices a call to Kafka that does not return, and ends the worker.

librdkafka does not keep the timeout it is given when the coordinator dies under ``send_offsets_to_transaction``: it
waits until one is back, and some versions for ever (``kafka/0002``). A worker that ends is back seconds later, and
resumes at its last page.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokenmeter.events.errors import Fatal

OFFSETS_CALL_S = 30.0
"""A position that has not been taken by then will not be; a broker that is killed is back in less."""
KAFKA_CALL_S = 32.0
"""Any other call of a transaction: it gives up by itself after 30 s, and says more."""
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
