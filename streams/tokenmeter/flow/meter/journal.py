"""What a meter remembers of its dedup horizon on its own disk: an appended file of keys, one entry a committed page.

The log stays the truth and this only saves reading it: 10 million events take a minute to decode again, their keys a
second to read. An entry is used only when its checksum holds, the entries follow each other without a hole, and the
last one carries the digest that usage.pages has for the page that ends there; whatever else is found is left alone and
the log is read instead. So a lost, torn, foreign or stale journal costs time and never a figure.

Entries are appended after their page committed, without fsync: the kernel keeps them when the process is killed, and
what a power cut tears is noticed.
"""

from __future__ import annotations

import logging
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tokenmeter.flow.meter.dedup import DEDUP_KEY_BYTES, DedupKeys

log = logging.getLogger(__name__)

SEGMENTS_PER_HORIZON = 8
"""A file is forgotten whole, so at most an eighth of a horizon is kept too long."""
SEGMENT_BYTES_MAX = 64 << 20
NO_DIGEST = bytes(32)
"""Of an entry that does not end with a page: part of what was read back from the log."""

_MAGIC = b"tmj1"
_HEADER = struct.Struct("<4sI8sqqqq32s")
"""Magic, checksum of all that follows, fingerprint, first and next offset, newest append time in ms, keys, digest."""
_CHECKED_FROM = 8
_SUFFIX = ".marks"


@dataclass(frozen=True)
class Span:
    """The usable events at [first_offset, next_offset), the newest appended at ``newest_ms``; ``digest`` is that of the
    page that ends there, or NO_DIGEST."""

    first_offset: int
    next_offset: int
    newest_ms: int
    digest: bytes


@dataclass(frozen=True)
class Stored:
    """Where the keys of a span are."""

    span: Span
    path: Path
    at_byte: int


class Journal(Protocol):
    """Where a meter keeps the keys of its committed pages."""

    def stored(self) -> list[Stored]:
        """The newest undamaged entries that follow each other without a hole, oldest first."""

    def load(self, stored: Stored) -> DedupKeys:
        """The keys of one entry, in log order."""

    def clear(self) -> None:
        """Forget everything: it is of another log."""

    def append(self, span: Span, keys: DedupKeys) -> None:
        """Keep one more. Never raises: without a journal a restart reads the log."""


class NoJournal:
    """Keeps nothing: every restart reads the log."""

    def stored(self) -> list[Stored]:
        """See Journal."""
        return []

    def load(self, stored: Stored) -> DedupKeys:
        """See Journal; there is nothing to load."""
        raise LookupError(stored.path)

    def clear(self) -> None:
        """See Journal."""

    def append(self, span: Span, keys: DedupKeys) -> None:
        """See Journal."""


def contiguous(spans: Sequence[Span]) -> list[int]:
    """Which of the spans make the unbroken line up to the highest offset, in order."""
    by_end = {span.next_offset: place for place, span in enumerate(spans)}
    line: list[int] = []
    end = max(by_end, default=0)
    while end in by_end:
        line.append(by_end.pop(end))
        end = spans[line[-1]].first_offset
    return line[::-1]


class FileJournal:
    """A journal of files in ``folder``, one partition's own. ``fingerprint`` (8 bytes) says how keys are hashed.

    Each process writes files of its own, so two that share a folder (a meter frozen past its session and its
    successor) never write into each other's.
    """

    def __init__(self, folder: Path, horizon_ms: int, fingerprint: bytes) -> None:
        self._folder = folder
        self._horizon_ms = horizon_ms
        self._fingerprint = fingerprint
        self._open: Path | None = None
        self._bytes = 0
        self._began_ms = 0
        self._newest_ms: dict[Path, int] = {}
        self._broken = False

    def stored(self) -> list[Stored]:
        """See Journal."""
        found: list[Stored] = []
        try:
            entries: list[Stored] = []
            for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
                of_file = list(self._scan(path))
                entries += of_file
                self._newest_ms[path] = max((entry.span.newest_ms for entry in of_file), default=0)
            for place in reversed(contiguous([entry.span for entry in entries])):
                if _read(entries[place]) is None:
                    # Those before it are of no use without it; those after it reach to the end of the line.
                    log.warning("%s: damaged at byte %d; older keys are read from the log", *_where(entries[place]))
                    break
                found.append(entries[place])
        except OSError as error:
            self._give_up(error)
            return []
        return found[::-1]

    def load(self, stored: Stored) -> DedupKeys:
        """See Journal. Raises OSError when the file has changed since."""
        body = _read(stored)
        if body is None:
            raise OSError(f"{stored.path} changed while it was read")
        count = len(body) // DEDUP_KEY_BYTES
        high, low, digest = (np.frombuffer(body, np.uint64, count, column * count * 8) for column in range(3))
        return DedupKeys(high, low, digest, np.frombuffer(body, np.int64, count, 3 * count * 8))

    def clear(self) -> None:
        """See Journal."""
        try:
            for path in self._folder.glob(f"*{_SUFFIX}"):
                path.unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)
        self._newest_ms.clear()
        self._open = None

    def append(self, span: Span, keys: DedupKeys) -> None:
        """See Journal."""
        if self._broken:
            return
        columns = [column.tobytes() for column in (keys.high, keys.low, keys.digest, keys.appended_at_ms)]
        where = (span.first_offset, span.next_offset, span.newest_ms)
        head = _HEADER.pack(_MAGIC, 0, self._fingerprint, *where, len(keys), span.digest)[_CHECKED_FROM:]
        checksum = zlib.crc32(head)
        for column in columns:
            checksum = zlib.crc32(column, checksum)
        try:
            path = self._segment(span)
            with path.open("ab") as file:
                file.writelines([_MAGIC, struct.pack("<I", checksum), head, *columns])
        except OSError as error:
            self._give_up(error)
            return
        self._bytes += _HEADER.size + len(keys) * DEDUP_KEY_BYTES
        self._newest_ms[path] = max(self._newest_ms.get(path, 0), span.newest_ms)

    def _segment(self, span: Span) -> Path:
        """The file to append to. Begins a new one, and forgets old ones, when it is full or an eighth old."""
        grown = span.newest_ms - self._began_ms > self._horizon_ms // SEGMENTS_PER_HORIZON
        if self._open is None or grown or self._bytes >= SEGMENT_BYTES_MAX:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open = self._folder / f"{span.first_offset:020d}-{uuid.uuid4().hex}{_SUFFIX}"
            self._bytes, self._began_ms = 0, span.newest_ms
            for path, newest_ms in list(self._newest_ms.items()):
                if path != self._open and newest_ms < span.newest_ms - self._horizon_ms:
                    path.unlink(missing_ok=True)
                    del self._newest_ms[path]
        return self._open

    def _scan(self, path: Path) -> Iterator[Stored]:
        """The whole entries of a file, as far as it makes sense."""
        at, size = 0, path.stat().st_size
        with path.open("rb") as file:
            while at + _HEADER.size <= size:
                file.seek(at)
                header = _HEADER.unpack(file.read(_HEADER.size))
                magic, _, fingerprint, first_offset, next_offset, newest_ms, count, digest = header
                end = at + _HEADER.size + count * DEDUP_KEY_BYTES
                if magic != _MAGIC or fingerprint != self._fingerprint or count < 0 or end > size:
                    return
                span = Span(first_offset, next_offset, newest_ms, digest)
                if span.first_offset < span.next_offset:
                    yield Stored(span, path, at)
                at = end

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        log.warning("%s: %s; a restart will read the log instead", self._folder, error)


def _where(stored: Stored) -> tuple[Path, int]:
    return stored.path, stored.at_byte


def _read(stored: Stored) -> bytes | None:
    """The columns of an entry, or None when it is damaged."""
    with stored.path.open("rb") as file:
        file.seek(stored.at_byte)
        head = file.read(_HEADER.size)
        _, checksum, *_, count, _ = _HEADER.unpack(head)
        body = file.read(count * DEDUP_KEY_BYTES)
    return body if zlib.crc32(body, zlib.crc32(head[_CHECKED_FROM:])) == checksum else None
