"""What a meter remembers of its dedup horizon on its own disk: one Arrow IPC file of keys a committed page.

The log stays the truth and this only saves reading it: 10 million events take a minute to decode again, their keys a
second to read. A file is used only when its checksum holds, the files follow each other without a hole, and the last
one carries the digest that usage.pages has for the page that ends there; whatever else is found is left alone and the
log is read instead. So a lost, torn, foreign or stale journal costs time and never a figure.

A file is written after its page committed, without fsync: the kernel keeps it when the process is killed, and what a
power cut tears is noticed. Its name tells the span, so that a folder is understood by listing it.
"""

from __future__ import annotations

import io
import logging
import re
import uuid
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Protocol

import polars as pl

from tokenmeter.flow.meter.dedup import DedupKeys

log = logging.getLogger(__name__)

NO_DIGEST = bytes(32)
"""Of a file that does not end with a page: part of what was read back from the log."""

_NAME = re.compile(r"(\d{20})-(\d{20})-(\d+)-([0-9a-f]{64})-([0-9a-f]{16})-[0-9a-f]{8}\.arrows(\.[0-9a-f]{32})?")
"""First and next offset, newest append time in ms, digest, fingerprint, checksum of these and of the content; last what
is added while the file is written. Arrow's name for its IPC stream is ``arrows``: polars needs a thirtieth of the time
to read it that it needs for the form with an index of its batches, of which there is one here."""


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
    """The file that has the keys of a span."""

    span: Span
    path: Path


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

    Files are written under a name of their own and then renamed, so two processes that share a folder (a meter frozen
    past its session and its successor) never write into each other's.
    """

    def __init__(self, folder: Path, horizon_ms: int, fingerprint: bytes) -> None:
        self._folder = folder
        self._horizon_ms = horizon_ms
        self._fingerprint = fingerprint
        self._by_age: list[tuple[int, Path]] = []
        """A heap of the files, and of those that were never finished, by their newest append time in ms."""
        self._newest_ms = 0
        self._broken = False

    def stored(self) -> list[Stored]:
        """See Journal."""
        self._by_age = []
        whole: list[Stored] = []
        try:
            for path in sorted(self._folder.glob("*")):
                if path.suffix == ".marks":  # of an earlier format
                    path.unlink(missing_ok=True)
                if told := _NAME.fullmatch(path.name):
                    first_offset, next_offset, newest_ms, digest, fingerprint, unfinished = told.groups()
                    span = Span(int(first_offset), int(next_offset), int(newest_ms), bytes.fromhex(digest))
                    self._remember(path, span.newest_ms)
                    own = fingerprint == self._fingerprint.hex() and not unfinished
                    if own and span.first_offset < span.next_offset and _read(path) is not None:
                        whole.append(Stored(span, path))
        except OSError as error:
            self._give_up(error)
            return []
        return [whole[place] for place in contiguous([one.span for one in whole])]

    def load(self, stored: Stored) -> DedupKeys:
        """See Journal. Raises OSError when the file has changed since."""
        content = _read(stored.path)
        if content is None:
            raise OSError(f"{stored.path} changed while it was read")
        return DedupKeys(*(column.to_numpy() for column in pl.read_ipc_stream(content)))

    def clear(self) -> None:
        """See Journal."""
        try:
            for path in self._folder.glob("*.arrows"):
                path.unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)

    def append(self, span: Span, keys: DedupKeys) -> None:
        """See Journal."""
        if self._broken:
            return
        place = f"{span.first_offset:020d}-{span.next_offset:020d}-{span.newest_ms}"
        content = io.BytesIO()
        pl.DataFrame(vars(keys)).write_ipc_stream(content)
        name = _named(f"{place}-{span.digest.hex()}-{self._fingerprint.hex()}", content.getvalue())
        unfinished = self._folder / f"{name}.{uuid.uuid4().hex}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content.getvalue())
            self._remember(unfinished.rename(self._folder / name), span.newest_ms)
            while self._by_age and self._by_age[0][0] < span.newest_ms - self._horizon_ms:
                heappop(self._by_age)[1].unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)

    def _remember(self, path: Path, newest_ms: int) -> None:
        """A page without a record has no time: it goes with the one before it, lest it leave a hole."""
        self._newest_ms = newest_ms or self._newest_ms
        heappush(self._by_age, (self._newest_ms, path))

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        log.warning("%s: %s; a restart will read the log instead", self._folder, error)


def _named(stem: str, content: bytes) -> str:
    """What a file of this content is called."""
    return f"{stem}-{zlib.crc32(content, zlib.crc32(stem.encode())):08x}.arrows"


def _read(path: Path) -> bytes | None:
    """What is in a file, or None when it, or its name, is damaged, or it is gone."""
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if path.name == _named(path.name.rpartition("-")[0], content):
            return content
    log.warning("%s: damaged; its keys, and those before it, are read from the log", path)
    return None
