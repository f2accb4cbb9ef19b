"""chDB behind requests: the real engine, in this process, over one data directory.

Each request has a connection of its own (0.2 ms), so its settings, its time zone and its temporary tables end with it.
A request that names a session gets that user's session instead, which nobody else can name.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import chdb

from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.access import require_reader, require_safe
from tokenmeter.store.engine_error import EngineError, engine_error
from tokenmeter.store.execute import as_it_was, forbid_writes, insert, select, set_up, tear_down
from tokenmeter.store.parsed import Statement, parse
from tokenmeter.store.query import Answer, Query
from tokenmeter.store.statement import literal

SESSION_SECONDS_MAX = 3_600.0


@dataclass
class _Session:
    connection: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    ends_at: float = 0.0


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
        data, config = (path / "data").resolve(), (path / "config.xml").resolve()
        template = Template((files(__package__) / "config.xml").read_text("utf-8"))
        config.write_text(template.substitute(data=data, config=config), "utf-8")
        self._address = f"{data}?config-file={config}"
        self._first = self._connect()
        """Kept, so that the engine stays between requests."""
        _plain_default(self._first, data)
        names = self._first.query("SELECT name FROM system.table_functions", "TabSeparatedRaw").bytes()
        self._table_functions = frozenset(names.decode().split())
        types = self._first.query("SELECT lower(name), content_type FROM system.formats", "TabSeparatedRaw").bytes()
        self.content_types = dict(line.split("\t") for line in types.decode().splitlines())
        """Of answers, by the format's name in small letters."""
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._sessions_lock = threading.Lock()

    def _connect(self) -> Any:
        connection: Any = chdb.connect(self._address)  # type: ignore[no-untyped-call]
        connection.query("SET session_timezone = 'UTC'")
        return connection

    @contextmanager
    def run(self, query: Query) -> Iterator[Answer]:
        """Run one query; what is not read of its answer is cancelled. Raises EngineError with ClickHouse's own text."""
        try:
            with self._connection(query) as connection:
                before = as_it_was(connection, query)
                try:
                    set_up(connection, query)
                    statement = self._parsed(connection, query)
                    if statement.verb in ("SET", "USE"):
                        before = []  # the session is to keep it
                    forbid_writes(connection, statement, query)
                    if statement.data_format is not None:
                        yield insert(connection, statement, query)
                        return
                    with select(connection, statement, query) as answer:
                        yield answer
                finally:
                    tear_down(connection, query, before)
        except RuntimeError as error:
            raise engine_error(error) from error

    def cancel(self, mark: str) -> None:
        """End the query of that mark. An insert whose data is there goes on: nobody could say whether it was stored."""
        connection = self._connect()
        try:
            mine = f"query_kind != 'Insert' AND startsWith(Settings['log_comment'], {literal(mark)})"
            with suppress(RuntimeError):
                connection.query(f"KILL QUERY WHERE {mine} ASYNC")
        finally:
            connection.close()

    def _parsed(self, connection: Any, query: Query) -> Statement:
        def ask(text: str, params: dict[str, str]) -> bytes:
            found: bytes = connection.query(text, "TabSeparatedRaw", params=params).bytes()
            return found

        statement = parse(ask, query.text)
        require_safe(statement)
        if query.user.readonly:
            database = query.database or "default"
            databases = ask("SELECT name FROM system.databases", {}).decode().split("\n")
            known = set(filter(None, databases))
            require_reader(statement, database, query.user.databases, known, self._table_functions)
        return statement

    @contextmanager
    def _connection(self, query: Query) -> Iterator[Any]:
        if not query.session_id:
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()
            return
        session = self._session(query)
        try:
            session.connection = session.connection or self._connect()
            yield session.connection
        finally:
            session.ends_at = time.monotonic() + min(query.session_seconds, SESSION_SECONDS_MAX)
            session.lock.release()

    def _session(self, query: Query) -> _Session:
        """The user's own session of that name, locked for this request; those that have ended are closed."""
        key = (query.user.name, query.session_id)
        with self._sessions_lock:
            # Sessions are locked under this lock alone: one that is seen unlocked here stays so until it is closed.
            now = time.monotonic()
            for ended in [k for k, s in self._sessions.items() if s.ends_at < now and not s.lock.locked()]:
                connection = self._sessions.pop(ended).connection
                if connection is not None:
                    connection.close()
            if key not in self._sessions and query.session_check:
                raise EngineError(372, "Code: 372. DB::Exception: Session not found. (SESSION_NOT_FOUND)")
            session = self._sessions.setdefault(key, _Session(None))
            if not session.lock.acquire(blocking=False):
                raise EngineError(
                    373, "Code: 373. DB::Exception: Session is locked by a concurrent client. (SESSION_IS_LOCKED)"
                )
            return session


def _plain_default(connection: Any, data: Path) -> None:
    """Make the database ``default`` a plain one: chDB's own looks for a file by the name of each table it lacks."""

    def ask(text: str) -> str:
        found: bytes = connection.query(text, "TabSeparatedRaw").bytes()
        return found.decode().strip()

    kept = data / "metadata" / "default.sql"
    if kept.exists() and ask("SELECT uuid FROM system.databases WHERE name = 'default'") in kept.read_text("utf-8"):
        connection.query("DETACH DATABASE default")
        connection.query("ATTACH DATABASE default")
    elif ask("SELECT count() FROM system.tables WHERE database = 'default'") == "0":
        # Of a plain one without tables the engine reads nothing again, not even its id.
        connection.query("DETACH DATABASE default")
        kept.unlink(missing_ok=True)
        connection.query("CREATE DATABASE default ENGINE = Atomic")
