"""The lines and CHARGE entries that the topics have, kept on disk and fetched page by page.

A page's lines of one topic partition stand together, so a segment a page and topic partition is all that memory holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tokenmeter.audit.blocks import Block
from tokenmeter.audit.compare import FoundLine
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.ledger.expiries import Expiries, read_expiries
from tokenmeter.audit.recount import RECORDS
from tokenmeter.audit.walk import walk_lines
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
_HEAD = struct.Struct("<qqi")
"""Line number, Kafka offset, bytes of the value."""

PageKey = tuple[int, int]
"""(partition, first offset) of a page."""


@dataclass(frozen=True)
class Segment:
    """Lines of one page on one topic partition: where they are kept."""

    path: str
    begin: int
    end: int
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
            places = _places(record, block)
            before: PageKey | None = None
            begin = out.tell()
            for value, offset, place in zip(block.values, block.offsets.tolist(), places, strict=True):
                if place is None:
                    kept.foreign.append(Foreign(topic, topic_partition, offset, record, _why(record, value)))
                    continue
                if place == NO_PAGE:
                    continue
                key = (place[0], place[1])
                if key != before:
                    if before is not None:
                        segments.setdefault(before, []).append(Segment(str(path), begin, out.tell(), topic_partition))
                    before, begin = key, out.tell()
                out.write(_HEAD.pack(place[2], offset, len(value or b"")))
                out.write(value or b"")
            if before is not None:
                segments.setdefault(before, []).append(Segment(str(path), begin, out.tell(), topic_partition))


def fetch(segments: Sequence[Segment]) -> list[FoundLine]:
    """The lines of one page, in the order of their numbers."""
    lines = []
    for segment in segments:
        with Path(segment.path).open("rb") as source:
            source.seek(segment.begin)
            data = source.read(segment.end - segment.begin)
        at = 0
        while at < len(data):
            number, offset, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            lines.append(FoundLine(number, data[at : at + size], segment.topic_partition, offset))
            at += size
    return sorted(lines, key=lambda line: line.number)


def _places(record: str, block: Block) -> list[tuple[int, int, int] | None]:
    """(partition, first offset, line) of each value, NO_PAGE of an entry that is no CHARGE, None of no line."""
    values = [value or b"" for value in block.values]
    for schema in versions(record):
        if values and values[0].startswith(wire.prefix(schema)):
            found = walk_lines(schema, values)
            if found.ok.all():
                columns = np.array([found.numbers(name) for name in ("partition", "first_offset", "line")])
                if record == ENTRY:
                    columns[:, found.numbers("kind") != _CHARGE] = -1
                return [(p, f, n) for p, f, n in columns.T.tolist()]
    return [_place(record, value) for value in block.values]


def _why(record: str, value: bytes | None) -> str:
    try:
        wire.decode(value, expect=record)
    except Poison as poison:
        return poison.reason
    return "it names no page"


def _place(record: str, value: bytes | None) -> tuple[int, int, int] | None:
    try:
        line: Mapping[str, Any] = wire.decode(value, expect=record).record
    except Poison:
        return None
    if record == ENTRY and line["kind"] != EntryKind.CHARGE:
        return NO_PAGE
    place = line["partition"], line["first_offset"], line["line"]
    return None if None in place else place
