"""The lines or entries of one page as they stand on their topic, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tokenmeter.audit.walk import walk_lines
from tokenmeter.audit.walked import I64, Walked
from tokenmeter.events import wire
from tokenmeter.events.contract import Schema


@dataclass(frozen=True)
class FoundLine:
    """One line on its topic: its number in the page, its wire value, and where it lies."""

    number: int
    value: bytes
    topic_partition: int
    offset: int


@dataclass(frozen=True)
class FoundLines:
    """Lines in the order of their numbers; one array element a line. Those of a page are many, so that nothing is made
    of a single one before something is wrong with it."""

    numbers: I64
    values: Sequence[bytes]
    topic_partitions: I64
    offsets: I64
    _walks: dict[bytes, Walked] = field(default_factory=dict)

    @staticmethod
    def of(lines: Iterable[FoundLine]) -> FoundLines:
        """Of single lines, in any order."""
        rows = [(line.number, line.value, line.topic_partition, line.offset) for line in lines]
        numbers, values, partitions, offsets = zip(*rows, strict=True) if rows else ((), (), (), ())
        columns = (np.array(one, np.int64) for one in (numbers, partitions, offsets))
        return FoundLines.ordered(values, *columns)

    @staticmethod
    def ordered(values: Sequence[bytes], numbers: I64, topic_partitions: I64, offsets: I64) -> FoundLines:
        """Columns in any order."""
        if (numbers[1:] >= numbers[:-1]).all():
            return FoundLines(numbers, values, topic_partitions, offsets)
        order = np.argsort(numbers, kind="stable")
        there = [values[place] for place in order.tolist()]
        return FoundLines(numbers[order], there, topic_partitions[order], offsets[order])

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[FoundLine]:
        columns = self.numbers.tolist(), self.values, self.topic_partitions.tolist(), self.offsets.tolist()
        return map(FoundLine, *columns)

    def walked(self, schema: Schema) -> Walked | None:
        """Every field of every line; None where one is not ``schema``'s, or only the record reader can judge it."""
        prefix = wire.prefix(schema)
        if prefix not in self._walks:
            self._walks[prefix] = walk_lines(schema, self.values)
        found = self._walks[prefix]
        return found if found.ok.all() else None
