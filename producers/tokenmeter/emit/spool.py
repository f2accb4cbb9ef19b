"""Events on disk until Kafka has them: one SQLite file, in WAL mode, owned by one process at a time.

Promises: append() returns once its rows are on the disk; read() gives them in the order of append(); a row leaves only
by remove(); a row whose bytes changed is an error, never another figure. Knows nothing of Kafka.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from tokenmeter.emit.stamp import Row
from tokenmeter.events.errors import BufferFull, Misconfigured, SpoolUnusable

SPOOL_BYTES = 1 << 30
"""Default bound of one spool: keys and values; the file is about a third larger."""
SPOOL_BYTES_MIN = 4 << 20
VERSION = 1
APPLICATION_ID = 0x746D7370
"""Says in the file's header that it is a spool of tokenmeter."""
FILE = "spool.sqlite"
OWNER_FILE = "owner.sqlite"
BUSY_TIMEOUT_S = 10.0
WAL_BYTES_KEPT = 16 << 20

_SQL = files(__package__) / "queries"
_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
_READ = "SELECT id, topic, source, crc32, key, value FROM event WHERE id > ? ORDER BY id LIMIT ?"
_DELETE = "DELETE FROM event WHERE id = ?"
_EXTENT = "SELECT coalesce(max(id), 0), count(*), coalesce(sum(length(key) + length(value)), 0) FROM event"
_HOLDS = "SELECT EXISTS (SELECT 1 FROM event WHERE id <= ?)"
_REMAINING = "SELECT count(*) FROM event WHERE id <= ?"


class Held(NamedTuple):
    """A row with its place in the order."""

    id: int
    row: Row


@dataclass(frozen=True)
class Summary:
    """What a spool holds of one source for one topic; times are microseconds since the epoch."""

    source: str
    topic: str
    events: int
    size_bytes: int
    oldest_us: int
    newest_us: int


class Spool:
    """Owns ``folder``. Thread-safe.

    Raises Misconfigured if the folder cannot be written, another process owns it, or a newer version wrote it, and
    SpoolUnusable if it is damaged. None of these changes a byte of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events = self.size_bytes = self._last_id = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds usage of customers
        except OSError as error:
            raise Misconfigured(f"cannot make the spool {folder}: {error.strerror}", hint="choose another") from error
        self._writing, self._reading = threading.Lock(), threading.Lock()
        with _plainly(folder):
            self._owner = _own(folder)
            try:
                # Two writers: what is appended is fsynced, what is removed need not be (it is only sent again).
                self._appender = _connect(folder / FILE, "FULL")
                _prepare(self._appender, folder)
                self._remover = _connect(folder / FILE, "NORMAL")
                self._reader = _connect(folder / FILE, "NORMAL")
                self._count()
            except BaseException:
                self._owner.close()
                raise

    @property
    def last_id(self) -> int:
        """The newest row's id, removed or not; 0 before the first."""
        return self._last_id

    def append(self, rows: Sequence[Row]) -> range:
        """Keep them all, or none; returns their ids once they are on the disk.

        Raises BufferFull when the disk is full; the same call may succeed later.
        """
        now_us = time.time_ns() // 1000
        with self._writing, _plainly(self.folder):
            ids = range(self._last_id + 1, self._last_id + 1 + len(rows))
            values = (
                (number, row.topic, row.source, now_us, _crc32(row), row.key, row.value)
                for number, row in zip(ids, rows, strict=True)
            )
            try:
                with _transaction(self._appender):
                    self._appender.executemany(_INSERT, values)
            except BaseException:  # an interrupt may come between the commit and the counting: ask the disk
                self._count()
                raise
            self._last_id = ids[-1]
            self._events += len(rows)
            self.size_bytes += sum(row.size_bytes for row in rows)
        return ids

    def read(self, after: int, events_max: int, bytes_max: int) -> list[Held]:
        """The rows after id ``after``, in order, up to a bound (one row at least, if there is one)."""
        found: list[Held] = []
        size_bytes = 0
        with self._reading, _plainly(self.folder), closing(self._reader.execute(_READ, (after, events_max))) as rows:
            for number, topic, source, crc32, key, value in rows:
                row = Row(topic, source, key, value)
                if _crc32(row) != crc32:
                    raise SpoolUnusable(
                        f"the spool {self.folder} is damaged: event {number} of source {source} is not as it was "
                        "written, and nothing behind it was sent",
                        hint=f"copy {self.folder} away for repair, and give the emitter another spool",
                    )
                found.append(Held(number, row))
                size_bytes += row.size_bytes
                if size_bytes >= bytes_max:
                    break
        return found

    def remove(self, held: Iterable[Held]) -> None:
        """Forget rows. A crash may undo it."""
        gone = list(held)
        with self._writing, _plainly(self.folder):
            with _transaction(self._remover):
                self._remover.executemany(_DELETE, ((one.id,) for one in gone))
            self._events -= len(gone)
            self.size_bytes -= sum(one.row.size_bytes for one in gone)

    @property
    def events(self) -> int:
        """How many rows it holds; waits for who is writing, so that it never counts a row that ``holds`` denies."""
        with self._writing:
            return self._events

    def holds(self, through: int) -> bool:
        """Whether any row up to id ``through`` is still held."""
        with self._reading, _plainly(self.folder):
            return bool(self._reader.execute(_HOLDS, (through,)).fetchone()[0])

    def remaining(self, through: int) -> int:
        """How many of them; slower."""
        with self._reading, _plainly(self.folder):
            count: int = self._reader.execute(_REMAINING, (through,)).fetchone()[0]
            return count

    def _count(self) -> None:
        last_id, self._events, self.size_bytes = self._appender.execute(_EXTENT).fetchone()
        self._last_id = max(self._last_id, last_id)

    def close(self) -> None:
        """Let go of the folder; rows stay."""
        with self._writing, self._reading, _plainly(self.folder):
            for connection in (self._reader, self._remover, self._appender, self._owner):
                connection.close()


def summary(folder: Path) -> list[Summary]:
    """What a spool holds, in its order, whether or not a process owns it. Raises as Spool does."""
    path = folder / FILE
    if not path.is_file():
        raise Misconfigured(f"{folder} is no spool: it has no {FILE}", hint="name the directory given as spool=")
    with _plainly(folder), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        _check_version(connection, folder)
        rows = connection.execute((_SQL / "spool_summary.sql").read_text("utf-8"))
        return [Summary(*row) for row in rows]


def _own(folder: Path) -> sqlite3.Connection:
    """A write lock that ends with the process, however it ends, and is not inherited by a fork."""
    lock = sqlite3.connect(folder / OWNER_FILE, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        lock.close()
        if _code(error) != sqlite3.SQLITE_BUSY:
            raise
        raise Misconfigured(
            f"another emitter or drain is using the spool {folder}",
            hint=f"give each process a spool of its own; fuser {folder / OWNER_FILE} names the one that has it",
        ) from error
    return lock


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    if not path.exists() and os.access(path.parent, os.W_OK):
        path.touch(0o600)  # its owner's alone; SQLite makes what is beside it likewise
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA fullfsync=1")  # macOS: past the drive's cache; elsewhere without effect
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
    return connection


def _prepare(connection: sqlite3.Connection, folder: Path) -> None:
    """Make the table in an empty file; refuse what is not ours, newer or damaged."""
    if connection.execute("PRAGMA schema_version").fetchone()[0] == 0:
        connection.execute("PRAGMA journal_mode=WAL")
        with _transaction(connection):
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute((_SQL / "spool_v1.sql").read_text("utf-8"))
        return
    _check_version(connection, folder)
    faults = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if faults != ["ok"]:
        raise _damaged(folder, str(faults[0]))


def _check_version(connection: sqlite3.Connection, folder: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Misconfigured(f"{folder / FILE} is not a spool of tokenmeter", hint="choose another directory")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise Misconfigured(
            f"a newer tokenmeter wrote the spool {folder}: version {version}, this one knows {VERSION}",
            hint=f"upgrade tokenmeter, or drain it there: tokenmeter spool drain {folder}",
        )


def _crc32(row: Row) -> int:
    return zlib.crc32(row.value, zlib.crc32(row.key, zlib.crc32(row.topic.encode())))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _damaged(folder: Path, cause: str) -> SpoolUnusable:
    return SpoolUnusable(
        f"the spool {folder} is damaged: {cause}",
        hint=f"copy {folder} away for repair (sqlite3 {FILE} .recover), and give the emitter another spool",
    )


@contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    """SQLite's errors as ours: what is wrong with which folder, and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        if code == sqlite3.SQLITE_FULL:
            raise BufferFull(
                f"the disk of the spool {folder} is full; no event can be accepted, nor one that was sent be removed",
                hint=f"free space on it: df {folder}",
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(folder, str(error)) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise Misconfigured(
                f"the spool {folder} cannot be written: {error}", hint=f"see its owner and mode: ls -ld {folder}"
            ) from error
        raise SpoolUnusable(f"the spool {folder} cannot be used: {error}", hint=f"see the disk: df {folder}") from error
