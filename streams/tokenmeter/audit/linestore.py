"""The lines and CHARGE entries that the topics have, kept on disk and fetched page by page.

A page's lines of one topic partition stand together, so a segment a page and topic partition is all that memory holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tokenmeter.audit.blocks import Block
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.found import FoundLines
from tokenmeter.audit.ledger.expiries import Expiries, read_expiries
from tokenmeter.audit.recount import RECORDS
from tokenmeter.audit.walk import walk_lines
from tokenmeter.audit.walked import I64
from tokenmeter.events import wire
from tokenmeter.events.contract import LEDGER, versions
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import EntryKind

ENTRY = "ledger_entry"
KEPT: Mapping[str, str] = {**RECORDS, ENTRY: LEDGER}
"""The topic of each record that is kept by page."""
_CHARGE = list(EntryKind).index(EntryKind.CHARGE)

NO_PAGE = (-1, -1, -1)
"""The place of an entry that no page made."""
NO_LINE = (-2, -2, -2)
"""The place of a value that is foreign."""

PageKey = tuple[int, int]
"""(partition, first offset) of a page."""


@dataclass(frozen=True)
class Segment:
    """Lines of one page on one topic partition: where they are kept."""

    path: str
    begin: int
    lines: int
    topic_partition: int


Segments = dict[PageKey, list[Segment]]


@dataclass
class Kept:
    """What came of reading some partitions of a topic; ``ends`` has the last offset of each that has any."""

    segments: dict[str, Segments] = field(default_factory=lambda: {record: {} for record in KEPT})
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    begins: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(offset, append time in ms) of each partition's first record."""
    foreign: list[Foreign] = field(default_factory=list)
    expiries: dict[int, Expiries] = field(default_factory=dict)
    """By partition of ledger.entries."""

    def merge(self, other: Kept) -> None:
        for record, segments in other.segments.items():
            for key, found in segments.items():
                self.segments[record].setdefault(key, []).extend(found)
        self.ends |= other.ends
        self.begins |= other.begins
        self.foreign += other.foreign
        self.expiries |= other.expiries


def keep(record: str, topic_partition: int, blocks: Iterable[Block], path: Path, kept: Kept) -> None:
    """Write every line of ``blocks``, or entry of a page, to ``path``. A value that is no ``record`` is foreign."""
    topic, segments = KEPT[record], kept.segments[record]
    with path.open("wb") as out:
        for block in blocks:
            kept.begins.setdefault((topic, topic_partition), (int(block.offsets[0]), int(block.appended_at_ms[0])))
            kept.ends[topic, topic_partition] = int(block.offsets[-1])
            if record == ENTRY:
                found = kept.expiries.setdefault(topic_partition, {})
                for account_id, expiries in read_expiries(block.values).items():
                    found.setdefault(account_id, []).extend(expiries)
            partitions, firsts, numbers = _places(record, block)
            for row in np.flatnonzero(partitions == NO_LINE[0]).tolist():
                why = _why(record, block.values[row])
                kept.foreign.append(Foreign(topic, topic_partition, int(block.offsets[row]), record, why))
            rows = np.flatnonzero(partitions >= 0)
            turns = (np.diff(partitions[rows]) != 0) | (np.diff(firsts[rows]) != 0)
            for run in np.split(rows, np.flatnonzero(turns) + 1) if len(rows) else []:
                begin = out.tell()
                _write(out, numbers[run], block.offsets[run], [block.values[row] or b"" for row in run.tolist()])
                key = int(partitions[run[0]]), int(firsts[run[0]])
                segments.setdefault(key, []).append(Segment(str(path), begin, len(run), topic_partition))


def _write(out: BinaryIO, numbers: I64, offsets: I64, values: Sequence[bytes]) -> None:
    """Three columns, then the values."""
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    out.write(np.concatenate([numbers, offsets, sizes]).tobytes())
    out.writelines(values)


def fetch(segments: Sequence[Segment]) -> FoundLines:
    """The lines of one page, in the order of their numbers."""
    values: list[bytes] = []
    columns = [np.empty((3, 0), np.int64)]
    for segment in segments:
        with Path(segment.path).open("rb") as source:
            source.seek(segment.begin)
            numbers, offsets, sizes = np.fromfile(source, np.int64, 3 * segment.lines).reshape(3, -1)
            data = source.read(int(sizes.sum()))
        ends = np.cumsum(sizes)
        values += [data[begin:end] for begin, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True)]
        columns.append(np.array([numbers, np.full(segment.lines, segment.topic_partition), offsets]))
    return FoundLines.ordered(values, *np.concatenate(columns, axis=1))


def _places(record: str, block: Block) -> I64:
    """Three rows: partition, first offset, line of each value; NO_PAGE of an entry that is no CHARGE, NO_LINE of what
    is no line."""
    values = [value or b"" for value in block.values]
    for schema in versions(record):
        if values and values[0].startswith(wire.prefix(schema)):
            found = walk_lines(schema, values)
            if found.ok.all():
                columns = np.array([found.numbers(name) for name in ("partition", "first_offset", "line")])
                if record == ENTRY:
                    columns[:, found.numbers("kind") != _CHARGE] = -1
                return columns
    return np.array([_place(record, value) for value in block.values], np.int64).reshape(-1, 3).T


def _why(record: str, value: bytes | None) -> str:
    try:
        wire.decode(value, expect=record)
    except Poison as poison:
        return poison.reason
    return "it names no page"


def _place(record: str, value: bytes | None) -> tuple[int, int, int]:
    try:
        line: Mapping[str, Any] = wire.decode(value, expect=record).record
    except Poison:
        return NO_LINE
    if record == ENTRY and line["kind"] != EntryKind.CHARGE:
        return NO_PAGE
    place = line["partition"], line["first_offset"], line["line"]
    return NO_LINE if None in place else place
