"""Lines by the hash of their key: what the log adds up to, and whether the lines of a topic are just those. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tokenmeter.audit.amounts import carried, limbs, total, unscaled_limbs
from tokenmeter.audit.facts import Keys, field_key, line_keys
from tokenmeter.audit.found import FoundLines
from tokenmeter.audit.recount import LineKind
from tokenmeter.audit.texts import later
from tokenmeter.audit.walked import I64, NULL, U64, Walked

PENDING_LINES_MAX = 100_000
"""Lines of single blocks held before they are added up."""

PRESENT_IF: Mapping[str, tuple[str, ...]] = {
    "tokens_squared": (),
    "charge": ("priced",),
    "cost": ("costed",),
    "reported_cost": ("reported_calls",),
    "reported_calls_cost": ("reported_calls", "costed"),
}
"""An amount is null unless each of these is above 0. All events of a billing line have a cost, or none has."""

Counts = npt.NDArray[np.int64]
"""One row a figure, one column a line."""
Sparse = Sequence[I64 | None]
"""Rows of which most are 0 throughout and None: most kinds of tokens are in no event of a block."""


class LineTotals:
    """The lines of one page and kind, block by block."""

    def __init__(self, kind: LineKind) -> None:
        self.kind = kind
        self._parts: list[tuple[U64, Sparse]] = []
        self._pending = 0

    def add(self, hashed: U64, measures: Mapping[str, I64]) -> None:
        """Add events: the hash of each one's line and what it counts; ``priced`` and ``costed`` say whether it has a
        charge, a cost."""
        wide = [limb for name in self.kind.amounts for limb in limbs(measures[name])]
        narrow = [measures[name] for name in (*_counters(self.kind), *self.kind.measures)]
        part = _totals(hashed, [*narrow, *wide])
        self._parts.append(part)
        self._pending += len(part[0])
        if self._pending > PENDING_LINES_MAX:
            self._parts, self._pending = [self._joined()], 0

    def _joined(self) -> tuple[U64, Sparse]:
        if not self._parts:
            width = len(_counters(self.kind)) + len(self.kind.measures) + 2 * len(self.kind.amounts)
            return np.empty(0, np.uint64), [None] * width
        if len(self._parts) == 1:
            return self._parts[0]
        sizes = [len(hashed) for hashed, _ in self._parts]
        return _totals(
            np.concatenate([hashed for hashed, _ in self._parts]),
            [_joined(row, sizes) for row in zip(*(rows for _, rows in self._parts), strict=True)],
        )

    @cached_property
    def totals(self) -> tuple[U64, Counts]:
        """Hashes of the lines, ascending, and their figures: measures, then three rows an amount, see ``_figures``.

        Ask when everything was added."""
        hashed, sparse = self._joined()
        rows = [np.zeros(len(hashed), np.int64) if row is None else row for row in sparse]
        counted = dict(zip(_counters(self.kind), rows, strict=False))
        measures = dict(zip(self.kind.measures, rows[len(counted) :], strict=False))
        wide = rows[len(counted) + len(measures) :]
        amounts = {}
        for place, name in enumerate(self.kind.amounts):
            present = np.ones(len(hashed), np.int64)
            for counter in PRESENT_IF[name]:
                present &= {**measures, **counted}[counter] > 0
            amounts[name] = (present, wide[2 * place], wide[2 * place + 1])
        return hashed, _figures(self.kind, measures, amounts)

    def __len__(self) -> int:
        return len(self.totals[0])

    def sums(self) -> dict[str, int]:
        """Each measure and amount over all lines, and ``unpriced_lines``: those without a charge."""
        _, figures = self.totals
        count = len(self.kind.measures)
        found = {name: int(row.sum()) for name, row in zip(self.kind.measures, figures, strict=False)}
        for place, name in enumerate(self.kind.amounts):
            present, low, high = figures[count + 3 * place : count + 3 * place + 3]
            found[name] = total(low, high)
            if name == "charge":
                found["unpriced_lines"] = len(present) - int(present.sum())
        return found


def _counters(kind: LineKind) -> tuple[str, ...]:
    return ("priced", "costed") if "cost" in kind.amounts else ("priced",)


def _figures(kind: LineKind, measures: Mapping[str, I64], amounts: Mapping[str, tuple[I64, I64, I64]]) -> Counts:
    """Rows to compare: each measure; of each amount whether there is one, and its limbs."""
    rows = [measures[name] for name in kind.measures]
    for name in kind.amounts:
        present, low, high = amounts[name]
        rows += [present, *carried(low, high)]
    return np.array(rows)


def _totals(hashed: U64, columns: Sparse) -> tuple[U64, Sparse]:
    if not len(hashed):
        return hashed, [None] * len(columns)
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counted = [column if column is not None and column.any() else None for column in columns]
    return ordered[begins], [None if one is None else np.add.reduceat(one[order], begins) for one in counted]


def _joined(parts: Sequence[I64 | None], sizes: Sequence[int]) -> I64 | None:
    """One row of several blocks."""
    if all(part is None for part in parts):
        return None
    pairs = zip(parts, sizes, strict=True)
    return np.concatenate([np.zeros(size, np.int64) if part is None else part for part, size in pairs])


def line_hashes(usage: U64, rated: U64, keys: Keys) -> U64:
    """Hashes of lines, from those of what was used and of what it was rated by. Lines and events meet in them."""
    return keys.first.number(usage, rated.view(np.int64))


def same(totals: LineTotals, page: tuple[int, int], lines: FoundLines, keys: Keys) -> bool:
    """Whether ``lines`` are those of ``page`` (partition, first offset), every field of them.

    False also for a value that only the record reader can judge.
    """
    kind = totals.kind
    hashed, figures = totals.totals
    if len(lines) != len(hashed):
        return False
    if not len(lines):
        return True
    found = lines.walked(kind.schema)
    place = {"partition": page[0], "first_offset": page[1], "line": np.arange(len(lines))}
    if found is None or any((found.numbers(name) != wanted).any() for name, wanted in place.items()):
        return False
    if not _ascend(kind, found, keys):
        return False
    amounts = {}
    for name in kind.amounts:
        wide = unscaled_limbs(found, name)
        if wide is None:
            return False
        amounts[name] = ((found.sizes(name) != NULL).astype(np.int64), *wide)
    rows = _figures(kind, {name: found.numbers(name) for name in kind.measures}, amounts)
    usage, rated = line_keys(found, kind.usage, keys.first), line_keys(found, kind.rated, keys.first)
    theirs = line_hashes(usage, rated, keys)
    order = np.argsort(theirs)
    return np.array_equal(hashed, theirs[order]) and np.array_equal(figures, rows[:, order])


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
    return bool(later(found.data, column.begin, column.size, rows, rows + 1).all())
