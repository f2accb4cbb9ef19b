"""Hashes of byte ranges, many at once, with a key drawn for this run: nobody can make ranges collide on purpose.

Each step takes eight bytes; it is a bijection of the state, so ranges that differ in one place never collide.
"""

from __future__ import annotations

import secrets

import numpy as np

from tokenmeter.audit.walked import I64, U8, U64

WORD_BYTES = 8
_SHIFT = np.uint64(29)


class Key:
    """An odd multiplier and a start, both secret."""

    def __init__(self) -> None:
        self.multiplier = np.uint64(secrets.randbits(64) | 1)
        self.start = np.uint64(secrets.randbits(64))

    def begin(self, count: int) -> U64:
        """The state of ``count`` hashes of nothing."""
        return np.full(count, self.start, np.uint64)

    def number(self, state: U64, numbers: I64) -> U64:
        """Each state after a number."""
        mixed = (state ^ numbers.view(np.uint64)) * self.multiplier
        return mixed ^ (mixed >> _SHIFT)

    def text(self, state: U64, data: U8, begin: I64, size: I64) -> U64:
        """Each state after the bytes [begin, begin + size) of ``data``, which has a word to spare; -1 is no text."""
        state = self.number(state, size)
        words = np.ndarray(len(data) - WORD_BYTES + 1, np.uint64, data, strides=(1,))
        for done in range(0, int(size.max(initial=0)), WORD_BYTES):
            left = size - done
            rows = np.flatnonzero(left > 0)
            everyone = len(rows) == len(size)
            at, left = (begin, left) if everyone else (begin[rows], left[rows])
            word = words[at + done]
            short = np.flatnonzero(left < WORD_BYTES)
            if len(short):
                word[short] &= (np.uint64(1) << (left[short] * 8).view(np.uint64)) - np.uint64(1)
            mixed = ((state if everyone else state[rows]) ^ word) * self.multiplier
            mixed ^= mixed >> _SHIFT
            if everyone:
                state = mixed
            else:
                state[rows] = mixed
        return state
