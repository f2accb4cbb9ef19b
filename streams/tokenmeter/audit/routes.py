"""Which partition of usage.events a customer's events belong on: the audit's own reading of Kafka's murmur2. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tokenmeter.audit.walked import I64, U64, Bools, Walked

MISROUTED = "misrouted"
CUSTOMERS_CACHED_MAX = 200_000
NOW = 1 << 62
_SEED, _M, _R, _U32 = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's hash of a key, as 32 bits without a sign."""
    whole = len(data) - len(data) % 4
    state = _SEED ^ len(data)
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _U32
        word = (word ^ word >> _R) * _M & _U32
        state = state * _M & _U32 ^ word
    if rest := data[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * _M & _U32
    state = (state ^ state >> 13) * _M & _U32
    return state ^ state >> 15


@lru_cache(CUSTOMERS_CACHED_MAX)
def home(customer_id: str, partitions: int) -> int:
    """The partition of a customer."""
    return (murmur2(customer_id.encode()) & 0x7FFFFFFF) % partitions


@dataclass(frozen=True)
class Route:
    """One partition of a topic that has ``partitions``, and had fewer in ``eras``: (offset at which one ended,
    partitions then), oldest first."""

    partition: int
    partitions: int
    eras: tuple[tuple[int, int], ...] = ()

    def misrouted(self, customer_id: str, offset: int) -> bool:
        """Whether an event of this customer, at this offset, belongs elsewhere."""
        then = next((count for end, count in self.eras if offset < end), self.partitions)
        return home(customer_id, then) != self.partition


class Strangers:
    """Customers of a partition by the hash of their id; those seen are asked for once for each count of partitions."""

    def __init__(self) -> None:
        self._eras: dict[int, _Era] = {}

    def learn(self, route: Route, hashes: U64, walked: Walked, rows: Bools) -> None:
        """Judge the customers of these rows that are new."""
        for end in (*(end for end, _ in route.eras), NOW):
            self._era(end).learn(route, end - 1, hashes, walked, rows)

    def among(self, route: Route, hashes: U64, offsets: I64) -> Bools:
        """Which of the events, all of customers that were learnt, are misrouted where they are."""
        found, begin = self._era(NOW).among(hashes), 0
        for end, _ in route.eras:
            until = int(np.searchsorted(offsets, end))
            found[begin:until] = self._era(end).among(hashes[begin:until])
            begin = until
        return found

    def _era(self, end: int) -> _Era:
        return self._eras.setdefault(end, _Era())


class _Era:
    def __init__(self) -> None:
        self._known = np.zeros(0, np.uint64)
        self._misrouted = np.zeros(0, bool)

    def learn(self, route: Route, offset: int, hashes: U64, walked: Walked, rows: Bools) -> None:
        """Judge the customers of these rows that are new."""
        chosen = np.flatnonzero(rows)
        new = chosen[~self._found(hashes[chosen])]
        _, firsts = np.unique(hashes[new], return_index=True)
        if len(firsts):
            rows_of = new[firsts]
            wrong = [route.misrouted(walked.text("customer_id", row) or "", offset) for row in rows_of.tolist()]
            known = np.concatenate([self._known, hashes[rows_of]])
            order = np.argsort(known)
            self._known = known[order]
            self._misrouted = np.concatenate([self._misrouted, np.array(wrong, bool)])[order]

    def among(self, hashes: U64) -> Bools:
        """Which of the events, all of customers that were learnt, are misrouted."""
        if not self._misrouted.any():
            return np.zeros(len(hashes), bool)
        found: Bools = self._misrouted[np.searchsorted(self._known, hashes)]
        return found

    def _found(self, hashes: U64) -> Bools:
        if not len(self._known):
            return np.zeros(len(hashes), bool)
        place = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        found: Bools = self._known[place] == hashes
        return found
