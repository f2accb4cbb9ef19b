"""Which usable events repeat one that was appended within the horizon before them. Pure; sorted arrays, no dict.

An event is compared with the most recent usable event of its identity. What was seen is kept in runs sorted by
identity, the youngest last; a run is never changed, the youngest that knows an identity is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenmeter.events.errors import Fatal

FRESH, DUPLICATE, CONFLICT = 0, 1, 2
IDENTITIES_MAX = 50_000_000
"""Identities of one partition within one horizon; 32 bytes each."""
KEEP_HORIZONS = 2
"""Forgotten after this many horizons: the broker's clock may step back, and the answer must not depend on when."""

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Seen:
    """Events in columns: two halves of a keyed identity hash, a hash of the payload, the broker's append time."""

    identity: U64
    check: U64
    payload: U64
    appended_at_ms: I64

    def __len__(self) -> int:
        return len(self.identity)

    def at(self, places: Places | npt.NDArray[np.bool_]) -> Seen:
        return Seen(self.identity[places], self.check[places], self.payload[places], self.appended_at_ms[places])


class Repeats:
    """What one partition has seen, as of the last event given to ``mark``."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._runs: list[Seen] = []

    def mark(self, events: Seen) -> npt.NDArray[np.int8]:
        """FRESH, DUPLICATE or CONFLICT for each event, in log order; they are remembered.

        Raises Fatal when two identities share a hash (once in a hundred thousand runs of ten million) or when the
        horizon holds more than IDENTITIES_MAX.
        """
        verdict = np.full(len(events), FRESH, np.int8)
        if not len(events):
            return verdict
        order = np.argsort(events.identity, kind="stable")
        ordered = events.at(order)
        same = ordered.identity[1:] == ordered.identity[:-1]
        later = np.flatnonzero(same) + 1
        verdict[order[later]] = self._against(ordered.at(later), ordered.at(later - 1))
        first = np.flatnonzero(np.append(True, ~same))
        last = np.append(first[1:], len(ordered)) - 1
        verdict[order[first]] = self._look_up(ordered.at(first))
        self._remember(ordered.at(last), int(events.appended_at_ms[-1]))
        return verdict

    def _against(self, events: Seen, before: Seen) -> npt.NDArray[np.int8]:
        if np.any(events.check != before.check):
            raise Fatal("two identities have the same hash in this run", hint="run the audit again: it draws a new key")
        within = events.appended_at_ms - before.appended_at_ms <= self._horizon_ms
        repeat = np.where(events.payload == before.payload, DUPLICATE, CONFLICT)
        return np.where(within, repeat, FRESH).astype(np.int8)

    def _look_up(self, events: Seen) -> npt.NDArray[np.int8]:
        """``events`` have distinct identities, ascending."""
        verdict = np.full(len(events), FRESH, np.int8)
        open_ = np.arange(len(events))
        for run in reversed(self._runs):
            place = np.minimum(np.searchsorted(run.identity, events.identity[open_]), len(run) - 1)
            known = run.identity[place] == events.identity[open_]
            verdict[open_[known]] = self._against(events.at(open_[known]), run.at(place[known]))
            open_ = open_[~known]
        return verdict

    def _remember(self, run: Seen, now_ms: int) -> None:
        """Append a run; runs of similar size become one, so there are few, and what has expired is left out."""
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            younger, older = self._runs.pop(), self._runs.pop()
            self._runs.append(self._merged(older, younger, now_ms))
        self._runs = [run for run in self._runs if len(run)]
        if sum(map(len, self._runs)) > IDENTITIES_MAX:
            raise Fatal(
                f"more than {IDENTITIES_MAX} identities within one dedup horizon of one partition",
                hint="audit on a larger machine",
            )

    def _merged(self, older: Seen, younger: Seen, now_ms: int) -> Seen:
        both = [
            np.concatenate(columns)
            for columns in zip(
                (older.identity, older.check, older.payload, older.appended_at_ms),
                (younger.identity, younger.check, younger.payload, younger.appended_at_ms),
                strict=True,
            )
        ]
        order = np.argsort(both[0], kind="stable")
        merged = Seen(*both).at(order)
        newest = np.append(merged.identity[1:] != merged.identity[:-1], True)
        return merged.at(newest & (now_ms - merged.appended_at_ms <= KEEP_HORIZONS * self._horizon_ms))
