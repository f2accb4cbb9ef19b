"""The dedup horizon: which events are repeats of one appended at most ``horizon`` before.

The answer is a function of the log alone: an event is a repeat when a usable event with the same identity was appended
within the horizon before it; its payload is compared with the most recent of those. So a rebuilt horizon answers as
the lost one would have. Identities are 128-bit hashes in a few sorted runs, probed with ``numpy.searchsorted``.

Memory: 32 bytes for an identity (hash 16, payload digest 8, append time 8), and while two runs become one, one column
of the two more: columns are merged one after the other, and what is merged is given back before the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events.contract import latest

HORIZON_MINUTES = 15
SWEEPS_PER_HORIZON = 4
RUN_GROWTH = 4
"""Two neighbouring runs are merged while the younger has more than a quarter of the older's size."""

FRESH, DUPLICATE, CONFLICT = 0, 1, 2

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
T = TypeVar("T", U64, I64)
_NONE: U64 = np.empty(0, np.uint64)
_IDENTITY = ("customer_id", "event_id")
_EMITTER_FIELDS = frozenset({"source", "sequence"})
"""Stamped by whoever sends: a retry from another process differs in them and is the same call."""


def payload() -> list[str]:
    """The fields in which two events of one identity must agree to be one call."""
    return [name for name in latest("usage_event").field_names if name not in _EMITTER_FIELDS]


@dataclass
class DedupKeys:
    """Columns of one batch, in log order: identity hash (high, low), payload digest, append time."""

    high: U64
    low: U64
    digest: U64
    appended_at_ms: I64

    def take(self, rows: Rows) -> DedupKeys:
        return DedupKeys(self.high[rows], self.low[rows], self.digest[rows], self.appended_at_ms[rows])

    def __len__(self) -> int:
        return len(self.high)


def joined(parts: list[DedupKeys]) -> DedupKeys:
    """The keys of several batches as one."""
    if not parts:
        return DedupKeys(_NONE, _NONE, _NONE, np.empty(0, np.int64))
    return DedupKeys(
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.digest for part in parts]),
        np.concatenate([part.appended_at_ms for part in parts]),
    )


def fingerprint(sample: pl.DataFrame) -> bytes:
    """Eight bytes that change when events are decoded or hashed another way; ``sample`` is a decoded event."""
    hashed = dedup_keys(sample, np.zeros(sample.height, np.int64))
    told = f"{pl.__version__} {sample.schema} {payload()}".encode()
    return sha256(told + hashed.high.tobytes() + hashed.low.tobytes() + hashed.digest.tobytes()).digest()[:8]


def dedup_keys(frame: pl.DataFrame, appended_at_ms: I64) -> DedupKeys:
    """Hash a frame of events. The seeds are fixed; what outlives the process carries the fingerprint."""
    identity = pl.struct(_IDENTITY)
    hashes = frame.select_seq(identity.hash(17).alias("high"), identity.hash(7919).alias("low"))
    return DedupKeys(
        hashes["high"].to_numpy(),
        hashes["low"].to_numpy(),
        frame.select_seq(payload()).hash_rows(31).to_numpy(),
        appended_at_ms,
    )


class Horizon:
    """Remembers identities for ``horizon_ms`` of the broker's time. One per partition, used by one thread at a time."""

    def __init__(self, horizon_ms: int = HORIZON_MINUTES * 60_000) -> None:
        self._horizon_ms = horizon_ms
        self._runs: list[DedupKeys] = []
        self._swept_at_ms = 0

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def admit(self, batch: DedupKeys) -> npt.NDArray[np.int8]:
        """FRESH, DUPLICATE or CONFLICT for each event, in log order; the batch is remembered."""
        status = np.zeros(len(batch), np.int8)
        if not len(batch):
            return status
        order = _by_identity(batch)
        ordered = batch.take(order)
        # In identity order, an event's predecessor of the same identity stands right before it.
        repeats = np.zeros(len(ordered), bool)
        repeats[1:] = (ordered.high[1:] == ordered.high[:-1]) & (ordered.low[1:] == ordered.low[:-1])
        found = np.zeros(len(ordered), np.int8)
        if repeats.any():
            later = np.flatnonzero(repeats)
            found[later] = self._compare(ordered.take(later), ordered.take(later - 1))
            first = np.flatnonzero(~repeats)
            last = np.append(first[1:], len(ordered)) - 1
            found[first] = self._probe(ordered.take(first), ordered.take(last))
        else:
            found = self._probe(ordered, ordered)
        status[order] = found
        self._sweep(int(batch.appended_at_ms[-1]))
        return status

    def _compare(self, event: DedupKeys, before: DedupKeys) -> npt.NDArray[np.int8]:
        within = event.appended_at_ms - before.appended_at_ms <= self._horizon_ms
        return np.where(within, np.where(event.digest == before.digest, DUPLICATE, CONFLICT), FRESH).astype(np.int8)

    def _probe(self, events: DedupKeys, newest: DedupKeys) -> npt.NDArray[np.int8]:
        """Look distinct identities (sorted) up in the runs and leave ``newest`` remembered for each."""
        found = np.zeros(len(events), np.int8)
        unknown = np.arange(len(events))
        high, low = events.high, events.low
        for run in self._runs:
            asked, place = _find(run, high, low)
            if len(asked):
                rows = unknown[asked]
                found[rows] = self._compare(events.take(rows), run.take(place))
                run.digest[place] = newest.digest[rows]
                run.appended_at_ms[place] = newest.appended_at_ms[rows]
                unknown = np.delete(unknown, asked)
                high, low = events.high[unknown], events.low[unknown]
        self._add(newest.take(unknown))
        return found

    def _add(self, run: DedupKeys) -> None:
        if len(run):
            self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-1]) * RUN_GROWTH > len(self._runs[-2]):
            younger = self._runs.pop()
            _merge(self._runs[-1], younger)

    def _sweep(self, now_ms: int) -> None:
        """Forget what is older than the horizon, a few times per horizon: it costs a pass over the runs."""
        if now_ms - self._swept_at_ms < self._horizon_ms // SWEEPS_PER_HORIZON:
            return
        self._swept_at_ms = now_ms
        for run in self._runs:
            kept = now_ms - run.appended_at_ms <= self._horizon_ms
            if not kept.all():
                run.high, run.low = run.high[kept], run.low[kept]
                run.digest, run.appended_at_ms = run.digest[kept], run.appended_at_ms[kept]
        self._runs = [run for run in self._runs if len(run)]


def _by_identity(batch: DedupKeys) -> Rows:
    """Row numbers ordered by identity, and within one identity by log order."""
    order = np.argsort(batch.high)  # five times as fast as a stable sort, which only equal ones need
    if not (repeats := _repeats(batch.high[order])).any():
        return order
    order = np.argsort(batch.high, kind="stable")
    low = batch.low[order]
    if np.any(repeats & (low[1:] != low[:-1])):
        return np.lexsort((batch.low, batch.high))
    return order


def _repeats(ordered: U64) -> Bools:
    """Whether each but the first equals the one before."""
    same: Bools = ordered[1:] == ordered[:-1]
    return same


def _find(run: DedupKeys, high: U64, low: U64) -> tuple[Rows, Rows]:
    """Which identities the run has, and where. Equal high halves of different identities are walked over."""
    place = np.searchsorted(run.high, high)
    asked = np.flatnonzero(run.high[np.minimum(place, len(run) - 1)] == high)
    place = place[asked]
    match = run.low[place] == low[asked]
    walking = np.flatnonzero(~match)
    while len(walking):
        place[walking] += 1
        walking = walking[place[walking] < len(run)]
        walking = walking[run.high[place[walking]] == high[asked[walking]]]
        here = run.low[place[walking]] == low[asked[walking]]
        match[walking[here]] = True
        walking = walking[~here]
    return asked[match], place[match]


def _merge(older: DedupKeys, younger: DedupKeys) -> None:
    """Put the younger run into the older one, both sorted; the younger is given back column by column."""
    places = np.searchsorted(older.high, younger.high, side="right") + np.arange(len(younger))
    is_older = np.ones(len(older) + len(younger), bool)
    is_older[places] = False
    others = np.flatnonzero(is_older)
    older.high, younger.high = _woven(older.high, younger.high, others, places), _NONE
    older.low, younger.low = _woven(older.low, younger.low, others, places), _NONE
    older.digest, younger.digest = _woven(older.digest, younger.digest, others, places), _NONE
    older.appended_at_ms = _woven(older.appended_at_ms, younger.appended_at_ms, others, places)


def _woven(older: T, younger: T, others: Rows, places: Rows) -> T:
    woven = np.empty(len(others) + len(places), older.dtype)
    woven[places] = younger
    woven[others] = older
    return woven
