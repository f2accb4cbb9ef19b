"""Lines by the hash of their key: what the log adds up to, and whether the lines of a topic are just those. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.stack.audit.facts import Keys, field_key, line_keys
from tokenmeter.stack.audit.recount import LineKind
from tokenmeter.stack.audit.walk import I64, NULL, U64, Walked, walk

PENDING_LINES_MAX = 100_000
"""Lines of single blocks held before they are added up."""

Counts = npt.NDArray[np.int64]
"""One row a measure, one column a line."""


class LineTotals:
    """The lines of one page and kind, block by block."""

    def __init__(self, kind: LineKind) -> None:
        self._kind = kind
        self._parts: list[tuple[U64, Counts]] = []
        self._pending = 0

    def add(self, hashed: U64, measures: Mapping[str, I64]) -> None:
        """Add events: the hash of each one's line key and what it counts."""
        part = _totals(hashed, [measures[name] for name in self._kind.measures])
        self._parts.append(part)
        self._pending += len(part[0])
        if self._pending > PENDING_LINES_MAX:
            self._parts, self._pending = [self.totals()], 0

    def totals(self) -> tuple[U64, Counts]:
        """Hashes of the lines, ascending, and their counts."""
        if not self._parts:
            return np.empty(0, np.uint64), np.empty((len(self._kind.measures), 0), np.int64)
        if len(self._parts) == 1:
            return self._parts[0]
        return _totals(
            np.concatenate([hashed for hashed, _ in self._parts]),
            list(np.concatenate([counts for _, counts in self._parts], axis=1)),
        )

    def __len__(self) -> int:
        return len(self.totals()[0])


def _totals(hashed: U64, columns: Sequence[I64]) -> tuple[U64, Counts]:
    counts = np.zeros((len(columns), 0), np.int64)
    if not len(hashed):
        return hashed, counts
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counts = np.zeros((len(columns), len(begins)), np.int64)
    for row, column in enumerate(columns):
        if column.any():  # most kinds of tokens are in no event of a block
            counts[row] = np.add.reduceat(column[order], begins)
    return ordered[begins], counts


def same(kind: LineKind, totals: LineTotals, page: tuple[int, int], values: Sequence[bytes], keys: Keys) -> bool:
    """Whether ``values`` (in line order) are the lines of ``page`` (partition, first offset), every field of them.

    False also for a value that only the record reader can judge.
    """
    hashed, counts = totals.totals()
    if len(values) != len(hashed):
        return False
    if not values:
        return True
    prefix = wire.prefix(latest(kind.record))
    if not all(value.startswith(prefix) for value in values):
        return False
    found = walk(latest(kind.record), values)
    place = {"partition": page[0], "first_offset": page[1], "line": np.arange(len(values))}
    if not found.ok.all() or any((found.numbers(name) != wanted).any() for name, wanted in place.items()):
        return False
    if not _ascend(kind, found, keys):
        return False
    theirs, their_counts = _totals(line_keys(found, kind.keys, keys.first), [found.numbers(n) for n in kind.measures])
    return np.array_equal(hashed, theirs) and np.array_equal(counts, their_counts)


def _ascend(kind: LineKind, found: Walked, keys: Keys) -> bool:
    """Whether the lines stand in the order of their keys, nulls first, and no key comes twice."""
    fields = [field_key(found, name, keys.first) for name in kind.keys]
    differs = np.array([hashed[1:] != hashed[:-1] for hashed in fields])
    if not differs.any(axis=0).all():
        return False
    decided = differs.argmax(axis=0)
    return all(_rises(found, name, np.flatnonzero(decided == field)) for field, name in enumerate(kind.keys))


def _rises(found: Walked, name: str, rows: I64) -> bool:
    """Whether a field is larger in the row after each of ``rows``, where it is known to differ."""
    column = found.columns[name]
    if column.begin is None or column.size is None:
        numbers = found.numbers(name)
        return bool((numbers[rows] < numbers[rows + 1]).all())
    pairs = [
        [
            found.data[begin : begin + size].tobytes() if size != NULL else None
            for begin, size in zip(column.begin[at].tolist(), column.size[at].tolist(), strict=True)
        ]
        for at in (rows, rows + 1)
    ]
    # Bytes of UTF-8 sort as the characters do. Nulls stand first.
    return all(later is not None and (before is None or before < later) for before, later in zip(*pairs, strict=True))
