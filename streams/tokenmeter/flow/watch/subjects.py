"""Who is watched: each subject's row in every detector of a partition, and which rows are free again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenmeter.flow.watch.exact import Longs

FORGET_DAYS = 35
"""A subject without a line for so long is forgotten, as one that spends nothing needs no habit."""
SUBJECTS_MAX = 200_000
"""Of one partition; a further one is not watched until another is forgotten."""
NAMES = 5
"""What ``names`` says of each row."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A customer, a key of one, or a model at a provider. ``group``: whom it moves with, or nobody."""

    kind: str
    subject_id: str
    account_id: str
    currency: str = ""
    group: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it another subject."""
        return self.kind, self.account_id, self.subject_id


class Subjects:
    """Rows are given in the order of the subjects' first lines, free ones first."""

    def __init__(self) -> None:
        self.rows: list[Subject | None] = []
        self.groups: list[str] = []
        self.last_bucket: Longs = np.zeros(0, np.int64)
        self._row_of: dict[tuple[str, str, str], int] = {}
        self._free: list[int] = []
        self._group_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def watched(self) -> int:
        """Those that are not forgotten."""
        return len(self._row_of)

    def find(self, subject: Subject) -> int | None:
        """Its row, if it has one."""
        return self._row_of.get(subject.key)

    def parent(self, row: int) -> int | None:
        """The row of a key's customer."""
        one = self.rows[row]
        return self._row_of.get(("customer", one.account_id, one.account_id)) if one and one.kind == "key" else None

    def add(self, subject: Subject) -> tuple[int, bool] | None:
        """(its row, whether somebody had the row before); None when there is no room."""
        used = bool(self._free)
        if used:
            row = self._free.pop(0)
            self.rows[row] = subject
        elif len(self.rows) < SUBJECTS_MAX:
            row = len(self.rows)
            self.rows.append(subject)
            if row >= len(self.last_bucket):
                self.last_bucket = np.append(self.last_bucket, np.zeros(max(64, row), np.int64))
        else:
            return None
        self._row_of[subject.key] = row
        return row, used

    def group(self, name: str) -> int:
        """The number of a group, −1 for none."""
        if not name:
            return -1
        if name not in self._group_of:
            self._group_of[name] = len(self.groups)
            self.groups.append(name)
        return self._group_of[name]

    def forget(self, bucket: int, buckets_day: int, kept: set[int]) -> int:
        """Free the rows of those without a line for FORGET_DAYS, but ``kept``; how many."""
        old = np.flatnonzero(self.last_bucket[: len(self.rows)] < bucket - FORGET_DAYS * buckets_day)
        freed = 0
        for row in old.tolist():
            subject = self.rows[row]
            if subject is not None and row not in kept:
                del self._row_of[subject.key]
                self.rows[row] = None
                self._free.append(row)
                freed += 1
        self._free.sort()
        return freed

    def names(self, first: int, end: int) -> list[str]:
        """Rows [first, end) as text, NAMES each."""
        found: list[str] = []
        for one in self.rows[first:end]:
            found += (one.kind, one.subject_id, one.account_id, one.currency, one.group) if one else ("",) * NAMES
        return found

    def restore(self, names: Sequence[str], last_bucket: Longs, groups: Sequence[str]) -> None:
        """Put back what ``names`` gave of all rows."""
        self.__init__()  # type: ignore[misc]
        for name in groups:
            self.group(name)
        self.last_bucket = last_bucket.copy()
        for row, parts in enumerate(batched_names(names)):
            self.rows.append(Subject(*parts) if parts[0] else None)
            if parts[0]:
                self._row_of[Subject(*parts).key] = row
            else:
                self._free.append(row)


def batched_names(names: Sequence[str]) -> list[tuple[str, ...]]:
    """``names`` by row."""
    return [tuple(names[at : at + NAMES]) for at in range(0, len(names), NAMES)]
