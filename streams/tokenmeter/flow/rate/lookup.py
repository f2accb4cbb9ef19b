"""Numbers of rows of keys: each distinct row is resolved once and found by its hash from then on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.flow.rate.int_table import MISSING, Ints, IntTable, Numbers


def hash_of(keys: pl.DataFrame) -> Ints:
    """64 bits of each row."""
    return keys.hash_rows(seed=0).to_numpy().view(np.int64)


class Lookup:
    """``resolve`` gives numbers to rows nobody asked for before. One thread learns at a time, others may look up.

    A hash only says where to look; whether the row there is the one is compared, so equal hashes cost time alone.
    """

    def __init__(
        self,
        schema: dict[str, pl.DataType],
        resolve: Callable[[pl.DataFrame], Sequence[int]],
        hash_of: Callable[[pl.DataFrame], Ints] = hash_of,
    ) -> None:
        self._resolve = resolve
        self._hash_of = hash_of
        self._places = IntTable()
        self._known = pl.DataFrame(schema=schema), np.zeros(0, np.int32)
        self._collided: dict[tuple[Any, ...], int] = {}

    def __len__(self) -> int:
        return len(self._known[1])

    def find(self, keys: pl.DataFrame) -> Numbers:
        """The number of each row, MISSING where it was not resolved yet."""
        places = self._places.find(self._hash_of(keys))
        rows, numbers = self._known
        if not len(numbers):
            return places
        there = pl.Series(np.maximum(places, 0))
        is_other = np.zeros(keys.height, np.bool_)
        for name in keys.columns:
            is_other |= rows[name].gather(there).ne_missing(keys[name]).to_numpy()
        found = np.where((places == MISSING) | is_other, MISSING, numbers.take(np.maximum(places, 0)))
        if self._collided and (is_other & (places != MISSING)).any():
            for place in np.flatnonzero(is_other & (places != MISSING)):
                found[place] = self._collided.get(keys.row(int(place)), MISSING)
        return found

    def learn(self, keys: pl.DataFrame) -> None:
        """Resolve what of these rows is not known."""
        unseen = keys.unique(maintain_order=True)
        unseen = unseen.filter(self.find(unseen) == MISSING)
        numbers = np.array(self._resolve(unseen), np.int32)
        rows, known = self._known
        hashes = self._hash_of(unseen)
        is_first = np.zeros(len(hashes), np.bool_)
        is_first[np.unique(hashes, return_index=True)[1]] = True
        is_first &= self._places.find(hashes) == MISSING
        # Whoever finds a place must find the row that is there, so the rows go first.
        self._known = pl.concat([rows, unseen.filter(is_first)], rechunk=True), np.append(known, numbers[is_first])
        places = np.arange(len(known), len(known) + int(is_first.sum()), dtype=np.int32)
        self._places.add(hashes[is_first], places)
        for place in np.flatnonzero(~is_first):
            self._collided[unseen.row(int(place))] = int(numbers[place])
