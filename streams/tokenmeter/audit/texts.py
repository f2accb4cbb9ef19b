"""Texts laid out for hashing: one array of bytes, and where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenmeter.audit.hashing import WORD_BYTES
from tokenmeter.audit.walked import I64, NULL, U8


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
