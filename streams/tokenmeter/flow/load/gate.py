"""The insert gate: pages that close within 200 ms share one insert a table, however many partitions they are of.

Each loader hands its page over and waits; the first of a batch waits for the others, then writes for all. A page is
answered when the rows of its whole batch are durable, so nothing is committed that could still be lost.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

import polars as pl

from tokenmeter.events.errors import Refused

WINDOW_S = 0.2
"""How long the first page of a batch waits for others."""
ROWS_MAX = 100_000
"""A batch that holds this many rows is written at once: there is work enough."""

Write = Callable[[Mapping[str, list[pl.DataFrame]]], None]
"""Makes frames durable, by table. Repeating it must change nothing."""


@dataclass
class _Batch:
    frames: dict[str, list[pl.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    rows: int = 0
    full: threading.Event = field(default_factory=threading.Event)
    written: Future[None] = field(default_factory=Future)


class InsertGate:
    """Used by many threads at once; ``write`` is called by one at a time."""

    def __init__(self, write: Write, window_s: float = WINDOW_S, rows_max: int = ROWS_MAX) -> None:
        self._write = write
        self._window_s = window_s
        self._rows_max = rows_max
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._open: _Batch | None = None
        """The batch that pages may still join: until it is being written, or is full."""

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Return once the rows are durable. Raises what ``write`` raised, to every page of the batch; when values were
        refused, each page of it is written by itself, so that none is refused for another's."""
        with self._lock:
            batch, leads = self._open, False
            if batch is None:
                batch, leads = _Batch(), True
                self._open = batch
            batch.frames[table].append(frame)
            batch.rows += frame.height
            if batch.rows >= self._rows_max:
                self._open = None
                batch.full.set()
        if leads:
            self._lead(batch)
        try:
            batch.written.result()
        except Refused:
            if sum(map(len, batch.frames.values())) == 1:
                raise
            with self._writing:
                self._write({table: [frame]})

    def _lead(self, batch: _Batch) -> None:
        batch.full.wait(self._window_s)
        with self._writing:
            with self._lock:
                if self._open is batch:
                    self._open = None
            try:
                self._write(batch.frames)
            except BaseException as error:
                batch.written.set_exception(error)
            else:
                batch.written.set_result(None)
