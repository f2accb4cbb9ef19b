"""chDB as a pool of sessions: the real engine, in this process, over one data directory.

Read-only users get sessions of their own in which ``readonly`` is set once and cannot be unset: the engine itself
refuses their writes.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import chdb

from tokenmeter.events.errors import Misconfigured

SESSIONS = 8
"""Queries that run at once, for each kind of user; further ones wait."""
READONLY = 2
"""Reads and settings, but no writes, and ``readonly`` itself cannot be changed."""
READONLY_CODE = 164
NOT_IMPLEMENTED_CODE = 48
_UNOPENABLE_TEXT = (
    "Code: 48. DB::Exception: The embedded server refuses engines that read from a queue: with one, the data "
    "directory could not be opened again. (NOT_IMPLEMENTED)"
)

_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(r"^\s*INSERT\s+INTO\b", re.IGNORECASE)
_INSERT_FORMAT = re.compile(
    r"^(?P<head>\s*INSERT\s+INTO\s.+?)\s+FORMAT\s+(?P<format>\w+)[ \t]*;?(?:\r?\n|\s|$)", re.I | re.S
)
_UNOPENABLE = re.compile(r"\bENGINE\s*=\s*(Kafka|RabbitMQ|NATS|FileLog|S3Queue|AzureQueue)\b", re.IGNORECASE)
_NAME = re.compile(r"^\w+$")


class EngineError(Exception):
    """What the engine said, with ClickHouse's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Query:
    """One request: ``text`` and, for an insert, the bytes to insert."""

    text: str
    body: bytes
    database: str
    settings: Mapping[str, str]
    params: Mapping[str, str]
    default_format: str
    readonly: bool


@dataclass(frozen=True)
class Answer:
    """Bytes in ``format``."""

    data: bytes
    format: str
    rows_read: int = 0
    rows_written: int = 0


class EmbeddedClickHouse:
    """The engine over ``path``; one process at a time may hold it."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(
                f"{path} is open in another process: one process owns a ClickHouse data directory",
                hint="tokenmeter down",
            ) from error
        self._path = str(path / "data")
        self._pools: dict[bool, Queue[Any]] = {False: Queue(), True: Queue()}
        for readonly, pool in self._pools.items():
            for _ in range(SESSIONS):
                pool.put(self._session(readonly))

    def _session(self, readonly: bool) -> Any:
        session: Any = chdb.connect(self._path)  # type: ignore[no-untyped-call]
        session.query("SET session_timezone = 'UTC'")
        if readonly:
            session.query(f"SET readonly = {READONLY}")
        return session

    def run(self, query: Query) -> Answer:
        """Run one query. Raises EngineError with ClickHouse's own code and text."""
        if _UNOPENABLE.search(query.text):
            raise EngineError(NOT_IMPLEMENTED_CODE, _UNOPENABLE_TEXT)
        with self._borrow(query.readonly) as session:
            try:
                with _applied(session, query):
                    return _insert(session, query) if _INSERT.match(query.text) else _select(session, query)
            except RuntimeError as error:
                raise _engine_error(error) from error

    @contextmanager
    def _borrow(self, readonly: bool) -> Iterator[Any]:
        pool = self._pools[readonly]
        session = pool.get()
        try:
            yield session
        finally:
            pool.put(session)


def _engine_error(error: RuntimeError) -> EngineError:
    text = str(error)
    found = re.search(r"Code: (\d+)", text)
    return EngineError(int(found.group(1)) if found else 1000, text)


@contextmanager
def _applied(session: Any, query: Query) -> Iterator[None]:
    """The request's database and settings, for this request only."""
    session.query(f"USE `{query.database.replace('`', '')}`")
    applied = []
    try:
        for name, value in query.settings.items():
            if not _NAME.match(name):
                raise EngineError(115, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
            literal = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            session.query(f"SET {name} = {literal}")
            applied.append(name)
        yield
    finally:
        for name in applied:
            session.query(f"SET {name} = DEFAULT")


def _select(session: Any, query: Query) -> Answer:
    text, output = query.text, query.default_format
    found = _FORMAT.search(text)
    if found:
        text, output = text[: found.start()], found.group(1)
    result = session.query(text.rstrip().rstrip(";"), output, params=dict(query.params) or None)
    return Answer(result.bytes() or b"", output, rows_read=result.rows_read())


def _insert(session: Any, query: Query) -> Answer:
    found = _INSERT_FORMAT.match(query.text)
    if query.readonly:
        raise EngineError(READONLY_CODE, "Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)")
    params = dict(query.params) or None
    if found is None or found.group("format").upper() == "VALUES":
        text = query.text + ("\n" + query.body.decode() if query.body else "")
        session.query(text, "TabSeparated", params=params)
        return Answer(b"", "TabSeparated")
    inline = query.text[found.end() :].encode()
    with session.send_insert(found.group("head"), found.group("format")) as stream:
        stream.append(inline + query.body)
        result = stream.finish()
    return Answer(b"", "TabSeparated", rows_written=int(result.rows_written))
