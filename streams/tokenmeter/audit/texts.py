"""Texts side by side, for hashing and comparing: one array of bytes, and where each begins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenmeter.audit.hashing import WORD_BYTES, Key
from tokenmeter.audit.walked import I64, NULL, U8, U64, Bools


@dataclass(frozen=True)
class Text:
    """One text a row; a size of NULL is no text."""

    data: U8
    begin: I64
    size: I64

    def at(self, rows: I64) -> Text:
        return Text(self.data, self.begin[rows], self.size[rows])


def texts(values: Sequence[str | None]) -> Text:
    """``values`` as rows."""
    parts = [None if value is None else value.encode() for value in values]
    sizes = np.array([len(part or b"") for part in parts], np.int64)
    data = np.frombuffer(b"".join(part or b"" for part in parts) + bytes(WORD_BYTES), np.uint8)
    missing = np.array([part is None for part in parts], bool)
    return Text(data, np.cumsum(sizes) - sizes, np.where(missing, NULL, sizes))


def hashed(text: Text, key: Key) -> U64:
    """A hash of each row."""
    return key.text(key.begin(len(text.size)), text.data, text.begin, text.size)


def later(data: U8, begin: I64, size: I64, rows: I64, others: I64) -> Bools:
    """Whether the text of each of ``others`` sorts after that of the row beside it; what is NULL sorts before all.

    Bytes of UTF-8 sort as their characters do."""
    found = np.zeros(len(rows), bool)
    open_ = np.arange(len(rows))
    for done in range(0, int(size.max(initial=0)), WORD_BYTES):
        mine, theirs = (_word(data, begin[at[open_]], size[at[open_]], done) for at in (rows, others))
        found[open_[mine < theirs]] = True
        open_ = open_[mine == theirs]
        if not len(open_):
            return found
    found[open_] = size[rows[open_]] < size[others[open_]]
    return found


def _word(data: U8, begin: I64, size: I64, done: int) -> U64:
    """Bytes done to done + 8 of each text, the first of them the greatest digit; 0 behind its end."""
    words = np.ndarray(len(data) - WORD_BYTES + 1, ">u8", data, strides=(1,))
    there = np.clip(size - done, 0, WORD_BYTES)
    word = words[np.minimum(begin + done, len(words) - 1)].astype(np.uint64)
    missing_bits = (8 * (WORD_BYTES - there)).astype(np.uint64)
    return np.where(there > 0, word >> missing_bits << missing_bits, np.uint64(0))
