"""Events lost before Kafka: holes in the numbers that each source stamps, +1 an event.

Numbers are collected over all partitions, so that neither retries nor reordering look like a hole; a new emitter is a
new source. Judged is what lies between what was seen before the audited pages and what has settled: an event may still
be on its way while a later one has arrived.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, BinaryIO

import numpy as np

from tokenmeter.audit.columnar import Arrived
from tokenmeter.store.statement import sql

SETTLE_MS = 180_000
"""An emitter gives an event up after 120 s; whatever is missing this long after its successor will not come."""
RANGES_SHOWN = 10
"""Of each source."""
_ROW = np.dtype([("source", "<u8"), ("sequence", "<i8"), ("settled", "u1"), ("before", "u1")])


@dataclass(frozen=True)
class Gap:
    """One source: ``missing`` numbers in all, the first ``ranges`` of them (both ends included)."""

    source: str
    missing: int
    ranges: Sequence[tuple[int, int]]
    seen: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "missing": self.missing,
            "seen": self.seen,
            "ranges": [[*r] for r in self.ranges],
        }


@dataclass
class Sequences:
    """What was judged: ``sources`` looked at, and those with holes; ``skipped`` says why nothing could be."""

    sources: int = 0
    gaps: list[Gap] = field(default_factory=list)
    skipped: str | None = None

    @property
    def missing(self) -> int:
        return sum(gap.missing for gap in self.gaps)


class Recorder:
    """Writes the numbers of one partition to a file, 18 bytes an event."""

    def __init__(self, out: BinaryIO, settled_ms: int) -> None:
        self._out = out
        self._settled_ms = settled_ms

    def add(self, arrived: Arrived, appended_at_ms: Any, before: bool) -> None:
        """Numbers of a block; ``before`` says that it lies before the audited pages."""
        rows = np.empty(len(arrived.sequence), _ROW)
        rows["source"], rows["sequence"] = arrived.source, arrived.sequence
        rows["settled"] = appended_at_ms[arrived.places] <= self._settled_ms
        rows["before"] = before
        self._out.write(rows.tobytes())


def count_gaps(paths: Sequence[Path], names: dict[int, str], whole: bool) -> Sequences:
    """Find the holes. ``whole``: nothing of the log is missing, so each source must begin at 0.

    The engine adds the numbers up in compressed sets, in this process.
    """
    found = Sequences()
    filled = [path for path in paths if path.stat().st_size]
    if not filled:
        return found
    import chdb  # half a second that only this process pays, not every one that counts

    text = Template(sql("sequence_gaps", "tokenmeter.audit"))
    pattern = str(filled[0].parent / "{").removesuffix("{") + "{" + ",".join(path.name for path in filled) + "}"
    if len(filled) == 1:
        pattern = str(filled[0])
    session: Any = chdb.connect(":memory:")  # type: ignore[no-untyped-call]
    try:
        statement = text.substitute(files=pattern, whole=int(whole), shown=RANGES_SHOWN)
        answer = session.query(statement, "JSONCompactEachRow").bytes() or b""
    finally:
        session.close()
    for source, seen, missing, ranges in map(json.loads, answer.splitlines()):
        found.sources += 1
        if int(missing):
            shown = [(int(first), int(last)) for first, last in ranges]
            found.gaps.append(Gap(names.get(int(source), source), int(missing), shown, int(seen)))
    found.gaps.sort(key=lambda gap: (-gap.missing, gap.source))
    return found


def described(found: Sequences) -> Iterator[str]:
    """One line a source."""
    for gap in found.gaps:
        ranges = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in gap.ranges)
        more = " ..." if gap.missing > sum(last - first + 1 for first, last in gap.ranges) else ""
        yield f"{gap.source or '(no name)'}: {gap.missing} missing beside {gap.seen} seen: {ranges}{more}"
