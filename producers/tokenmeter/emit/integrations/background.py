"""Does what callers leave behind on a thread of its own, in the order in which they left it.

put() takes no lock, so it may be called from anywhere: also from a finalizer that the garbage collector runs in the
middle of somebody's critical section.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

WAITING_MAX = 10_000
"""Items waiting; beyond, callers do their own work."""
GATHERING_S = 0.005
"""How long the thread waits for others once it has an item. While it does, who leaves one need not wake it, which costs
the caller more than all the rest; and the fewer its turns, the less it takes the caches from him. A process that is
killed loses what came within this time."""
BATCH_MAX = 500
"""Items done together: events of one batch share an fsync of the spool."""

Item = TypeVar("Item")


class Background(Generic[Item]):
    """``work`` must not raise. The thread starts with the first item, and anew in a forked child."""

    def __init__(self, work: Callable[[list[Item]], None]) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._taken = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items that are left and not done; the one that is just being taken may be missing."""
        return self._queue.qsize() + self._taken

    def put(self, item: Item, always: bool = False) -> bool:
        """Leave an item; False if there is no room (unless ``always``) or no thread any more: it is the caller's."""
        if self._closed or (not always and self._queue.qsize() >= WAITING_MAX):
            return False
        self._queue.put(item)
        if self._pid != os.getpid():
            self._start()
        return True

    def close(self, timeout_s: float) -> int:
        """Finish what waits; how many items are left after ``timeout_s``, still under way."""
        deadline = time.monotonic() + timeout_s
        self._closed = True
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread.join(max(0.0, deadline - time.monotonic()))
            if self._thread.is_alive():
                return max(1, self.waiting - 1)
        # What was put while we closed, or before a fork that left us no thread.
        self._do_rest()
        return 0

    def _start(self) -> None:
        self._pid, self._taken = os.getpid(), 0
        self._thread = threading.Thread(target=self._run, name="tokenmeter-meter", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            self._taken, ended = 1, False
            if not self._closed:
                time.sleep(GATHERING_S)
            while len(batch) < BATCH_MAX and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    ended = True
                    break
                batch.append(following)
                self._taken = len(batch)
            self._work(batch)
            self._taken = 0
            if ended:
                return

    def _do_rest(self) -> None:
        rest = []
        while not self._queue.empty():
            item = self._queue.get()
            if item is not None:
                rest.append(item)
        if rest:
            self._work(rest)
