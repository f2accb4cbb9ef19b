"""A hash table of integers that columns are looked up in.

A join would build its own table for every batch: 2 ms for the pairs that a busy meter knows, whether the batch has a
hundred thousand events or ten. This one is kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MISSING = -1
_EMPTY = -(2**63)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: multiplying by it spreads neighbours over the whole table."""
_FIRST_BITS = 10

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


class IntTable:
    """64-bit keys to numbers, with linear probing. One thread adds at a time, others may look up meanwhile."""

    def __init__(self) -> None:
        self._table = _empty(_FIRST_BITS)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, keys: Ints) -> Numbers:
        """The number of each key, or MISSING."""
        held, numbers = self._table
        keys = _usable(keys)
        slots = _slots(keys, len(held))
        seen = held.take(slots)
        found = np.where(seen == keys, numbers.take(slots), MISSING)
        left = np.flatnonzero((seen != keys) & (seen != _EMPTY))
        slots, keys = slots[left], keys[left]
        while len(left):
            slots = slots + 1 & len(held) - 1
            seen = held.take(slots)
            found[left] = np.where(seen == keys, numbers.take(slots), MISSING)
            goes_on = (seen != keys) & (seen != _EMPTY)
            left, slots, keys = left[goes_on], slots[goes_on], keys[goes_on]
        return found

    def add(self, keys: Ints, numbers: Numbers) -> None:
        """Remember keys that are distinct and not there yet."""
        keys = _usable(keys)
        self._count += len(keys)
        held, old = self._table
        if 2 * self._count > len(held):
            bits = (2 * self._count).bit_length() + 1
            is_held = held != _EMPTY
            keys, numbers = np.concatenate([held[is_held], keys]), np.concatenate([old[is_held], numbers])
            grown = _empty(bits)
            _put(*grown, keys, numbers)
            self._table = grown
        else:
            _put(held, old, keys, numbers)


def _empty(bits: int) -> tuple[Ints, Numbers]:
    return np.full(2**bits, _EMPTY, np.int64), np.full(2**bits, MISSING, np.int32)


def _usable(keys: Ints) -> Ints:
    return np.where(keys == _EMPTY, _EMPTY + 1, keys)


def _slots(keys: Ints, size: int) -> Ints:
    spread = keys.view(np.uint64) * _SPREAD
    return (spread >> np.uint64(65 - size.bit_length())).astype(np.int64)


def _put(held: Ints, numbers: Numbers, keys: Ints, added: Numbers) -> None:
    """Each key at the first free slot from its own on. Of several that want one slot one gets it, the rest go on."""
    slots = _slots(keys, len(held))
    while len(keys):
        free = np.flatnonzero(held.take(slots) == _EMPTY)
        # The number before the key: who finds a key meanwhile finds its number. Of several keys for a slot both
        # assignments keep the last.
        numbers[slots[free]] = added[free]
        held[slots[free]] = keys[free]
        left = held.take(slots) != keys
        keys, added, slots = keys[left], added[left], slots[left] + 1 & len(held) - 1
