"""Makes the totals of what was loaded, beside the loading: at most a fifth of the time, and never for a page alone.

Pages do not wait for totals. What is due is in ClickHouse before a page is committed (``Totals.touch``), so a loader
that is killed leaves it to the next one, which looks when it starts and once a minute for what a dead one left.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import polars as pl

from tokenmeter.events.errors import Transient
from tokenmeter.store.totals import DAY, SOURCES, Due, days

log = logging.getLogger(__name__)

PAUSE_S = 1.0
"""What is due is made at most this often."""
PAUSE_PER_WORK = 4.0
"""The pause after a remake, in times what the remake took: late events of many days must not keep the loader busy."""
LOOK_S = 60.0
"""How often to look for what a loader left that is no more."""
RETRY_S = 2.0
ROUND_S = 5.0
"""A round begins no further day after this long."""


class Made(Protocol):
    """Where totals are made: ``tokenmeter.store.totals.Totals``."""

    def pending(self) -> Mapping[Due, float]: ...

    def remake(self, source: str, day: int, buckets: list[int]) -> None: ...


def touched(table: str, frame: pl.DataFrame, now_s: float) -> set[Due]:
    """The hours or minutes that rows of ``table`` are in, without those whose older rows may be gone already."""
    source = SOURCES.get(table)
    if source is None or not frame.height:
        return set()
    seconds = frame[source.time_column].dt.epoch("s")
    starts = (seconds - seconds % source.bucket_s).unique()
    return {(table, start) for start in starts.to_list() if start >= now_s - source.kept_days * DAY}


class Remaker:
    """One thread that makes what is due. ``connect`` gives it a Totals of its own; ``die`` ends the process."""

    def __init__(
        self,
        connect: Callable[[], Made],
        die: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._connect = connect
        self._die = die
        self._clock = clock
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._due: dict[Due, float] = {}
        """What is due, and since when by the clock."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="totals", daemon=True)
                self._thread.start()

    def add(self, due: Iterable[Due]) -> None:
        """Rows of these are in."""
        now = self._clock()
        with self._lock:
            for one in due:
                self._due.setdefault(one, now)

    def health(self) -> dict[str, Any]:
        """For /health: how many hours and minutes are due, and for how long the oldest has been."""
        with self._lock:
            oldest = min(self._due.values(), default=None)
            age_s = 0.0 if oldest is None else self._clock() - oldest
            return {"totals_due": len(self._due), "totals_due_seconds": round(age_s, 1)}

    def make(self, made: Made) -> None:
        """Make what is due, a day of a source at a time and the newest day first: it is the one that boards show.

        What a few seconds do not suffice for is left to the next round, which begins with the newest day again.
        """
        began = self._clock()
        with self._lock:
            due = set(self._due)
        work = [(day, source, of_day) for source in SOURCES for day, of_day in days(b for s, b in due if s == source)]
        for day, source, of_day in sorted(work, reverse=True):
            self._make_day(made, source, day, of_day)
            if self._clock() - began > ROUND_S:
                return

    def _make_day(self, made: Made, source: str, day: int, of_day: list[int]) -> None:
        with self._lock:
            # What arrives from here on is due again: the remake may have missed it.
            since = {(source, bucket): self._due.pop((source, bucket)) for bucket in of_day}
        try:
            made.remake(source, day, of_day)
        except BaseException:
            with self._lock:
                self._due = {**self._due, **since}
            raise

    def look(self, made: Made) -> None:
        """Take up what is due by the store's own account."""
        now = self._clock()
        found = made.pending()
        with self._lock:
            for one, age_s in found.items():
                self._due.setdefault(one, now - age_s)

    def _run(self) -> None:
        made: Made | None = None
        looked_at: float | None = None
        while True:
            began = self._clock()
            try:
                made = made or self._connect()
                if looked_at is None or began - looked_at >= LOOK_S:
                    self.look(made)
                    looked_at = began
                self.make(made)
            except Transient as error:
                log.warning("totals wait: %s", error)
                time.sleep(RETRY_S)
            except BaseException as error:
                self._die(error)
                return
            time.sleep(max(self._pause_s, PAUSE_PER_WORK * (self._clock() - began)))
