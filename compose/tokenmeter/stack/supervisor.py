"""Watches over the children of a stack: starts again what ended, ends what hangs, and tells ``status`` how each is.

No part's end ends another. A full disk does not end the supervisor either: it says so, and writes again when there is
room.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import httpx

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import Child
from tokenmeter.stack.processes import born, is_stopped
from tokenmeter.stack.restarts import FAILED, RESTARTING, RUNNING, Restarts
from tokenmeter.stack.state import Part, Stack

STOPPED_MAX_S = 10.0
"""A part that a signal has stopped for so long is ended, and so started again."""
UNHEARD_MAX_S = 120.0
"""A part that runs and has not answered for so long is ended too; longer than its own watchdog takes."""
OWN_PAUSE_MAX_S = 10.0
ASK_EVERY_S = 5.0
ASK_TIMEOUT_S = 2.0
STORES = ("kafka", "clickhouse")
"""Whose return the others are waiting for, by how their names begin."""
_ASKED = ("meter", "load", "ledger", "watch", "gateway")


class Supervisor:
    """``children`` and ``stack`` are those of a LocalStack, which adds to them while it starts."""

    def __init__(
        self,
        children: Mapping[str, Child],
        stack: Stack,
        data: Path,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children, self._stack, self._data, self._say, self._clock = children, stack, data, say, clock
        self._restarts = Restarts()
        self._stopped_since: dict[str, float] = {}
        self._heard_at: dict[str, float] = {}
        self._looked_at = clock()
        self._unsaved = ""
        self._asking = threading.Event()

    def started(self, name: str) -> None:
        """A child was started; from now on it is watched."""
        self._restarts.started(name, self._clock())

    def ask(self) -> None:
        """Begin to ask the workers and the gateway for their health, in a thread of its own."""
        threading.Thread(target=self._ask, name="health", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._asking.set()

    def look(self) -> None:
        """See who ended or hangs, and start again who is due. Call it every second or so, from the main thread."""
        now, changed = self._clock(), False
        if now - self._looked_at > OWN_PAUSE_MAX_S:  # it was stopped itself, and knows of nobody what happened since
            self._stopped_since.clear()
            self._heard_at.clear()
        self._looked_at = now
        for name, child in self._children.items():
            if not self._restarts.runs(name):
                continue
            if not child.is_alive():
                changed = True
                self._ended(name, f"ended with {child.returncode}: {child.last_line()}")
            elif why := self._hangs(name, child, now):
                self._tell(f"{name} {why}; ending it")
                child.kill()
        for name in self._restarts.due(now):
            changed = True
            self._again(name)
        if changed or self._unsaved:
            self.keep()

    def keep(self) -> None:
        """Write down how all are. What fails, for want of room say, is tried again."""
        for name in self._children:
            self._note(name)
        try:
            self._stack.save(self._data)
        except OSError as error:
            if not self._unsaved:
                self._tell(f"cannot write {self._data}: {error.strerror}; status knows nothing new until it can be")
            self._unsaved = str(error)
        else:
            self._unsaved = ""

    def _note(self, name: str) -> None:
        part, child = self._stack.parts.get(name), self._children[name]
        if part is None or part.state not in (RUNNING, RESTARTING, FAILED):
            return
        part.state, part.said = self._restarts.state(name)
        part.pid = child.pid if part.state == RUNNING else None
        part.born = None if part.pid is None else born(part.pid)

    def _ended(self, name: str, why: str) -> None:
        pause = self._restarts.ended(name, self._clock(), why)
        self._stopped_since.pop(name, None)
        self._tell(f"{name} {why}; starting it again in {pause:.0f} s")

    def _again(self, name: str) -> None:
        try:
            self._children[name].start()
        except Fatal as error:
            self._ended(name, f"cannot be started: {error.message}")
            return
        now, part = self._clock(), self._stack.parts.get(name)
        self._restarts.started(name, now)
        if part is not None:
            part.restarts += 1
        if name.startswith(STORES):
            self._restarts.hurry([one for one in self._children if not one.startswith(STORES)], now)

    def _hangs(self, name: str, child: Child, now: float) -> str:
        """Why it is not to be waited for any longer; empty: it is well, as far as can be seen."""
        if child.pid is not None and is_stopped(child.pid):
            since = self._stopped_since.setdefault(name, now)
            return f"was stopped by a signal {now - since:.0f} s ago" if now - since >= STOPPED_MAX_S else ""
        self._stopped_since.pop(name, None)
        heard_at = self._heard_at.get(name)
        if heard_at is None:
            return ""
        silent_s = now - max(heard_at, self._restarts.started_at(name))
        return f"has not answered for {silent_s:.0f} s" if silent_s >= UNHEARD_MAX_S else ""

    def _ask(self) -> None:
        with httpx.Client(timeout=ASK_TIMEOUT_S, trust_env=False, verify=False) as client:
            while not self._asking.wait(ASK_EVERY_S):
                for name, part in [*self._stack.parts.items()]:
                    if name.startswith(_ASKED) and part.state == RUNNING and part.url is not None:
                        with suppress(httpx.HTTPError):
                            client.get(f"{part.url}/health")
                            self._heard_at[name] = self._clock()

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # its own log may be on the disk that is full
            self._say(line)


def part_of(child: Child, url: str, user: str | None, password: str | None) -> Part:
    """How a child that was just started is written down."""
    pid = child.pid
    return Part(RUNNING, pid, url, user, password, str(child.log), born=None if pid is None else born(pid))
