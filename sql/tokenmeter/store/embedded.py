"""chDB behind requests: the real engine, in this process, over one data directory.

Each request has a connection of its own (0.2 ms), so its settings, its time zone and its temporary tables end with it.
A request that names a session gets that user's session instead, which nobody else can name.
"""

from __future__ import annotations

import fcntl
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import IO, Any

import chdb

from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.access import READER_VERBS, require_reader, require_safe
from tokenmeter.store.engine_error import EngineError, engine_error
from tokenmeter.store.parsed import Statement, parse
from tokenmeter.store.users import User

READONLY = 2
"""Reads and settings, but no writes, and ``readonly`` itself cannot be changed."""
SESSION_SECONDS = 60.0
SESSION_SECONDS_MAX = 3_600.0
PIECE_BYTES_MAX = 1 << 20
"""An insert's data is handed to the engine in pieces of this size."""
STREAMED = frozenset(("native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "jsoneachrow", "rowbinary"))
"""Formats whose pieces, one after another, are the whole: the others are answered at once."""
_NAME = re.compile(r"^\w+$")


@dataclass(frozen=True)
class Query:
    """One request. ``text`` may go on with the first of an insert's data; ``data`` is the rest of it, or empty."""

    text: bytes
    data: IO[bytes]
    user: User
    database: str = "default"
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    readonly: bool = False
    session_id: str = ""
    session_seconds: float = SESSION_SECONDS
    session_check: bool = False


@dataclass
class Answer:
    """Bytes in ``format``, piece by piece; ``rows_read`` is known of an answer in one piece."""

    pieces: Iterator[bytes]
    format: str
    rows_read: int = 0
    rows_written: int = 0


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
                _set(connection, query)
                statement = self._parsed(connection, query)
                _forbid_writes(connection, statement, query)
                if statement.data_format is not None:
                    yield _insert(connection, statement, query)
                    return
                with _select(connection, statement, query) as answer:
                    yield answer
        except RuntimeError as error:
            raise engine_error(error) from error

    def _parsed(self, connection: Any, query: Query) -> Statement:
        def ask(text: str, params: dict[str, str]) -> bytes:
            found: bytes = connection.query(text, "TabSeparatedRaw", params=params).bytes()
            return found

        statement = parse(ask, query.text)
        require_safe(statement)
        if query.user.readonly:
            databases = ask("SELECT name FROM system.databases", {}).decode().split("\n")
            require_reader(
                statement, query.database, query.user.databases, set(filter(None, databases)), self._table_functions
            )
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


def _set(connection: Any, query: Query) -> None:
    """The request's database and settings; ``readonly`` is seen to apart, for it forbids the others."""
    if not query.session_id or query.database != "default":
        connection.query(f"USE `{query.database.replace('`', '')}`")
    for name, value in query.settings.items():
        if not _NAME.match(name):
            raise EngineError(115, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
        if name != "readonly":
            literal = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            connection.query(f"SET {name} = {literal}")


def _forbid_writes(connection: Any, statement: Statement, query: Query) -> None:
    """A reader's connection stays readonly; a writer's session must outlive one request that asked for it."""
    if query.user.readonly:
        connection.query(f"SET readonly = {READONLY}")
    elif query.readonly and statement.verb not in (*READER_VERBS, "SET", "USE"):
        raise EngineError(164, "Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)")


@contextmanager
def _select(connection: Any, statement: Statement, query: Query) -> Iterator[Answer]:
    text = statement.text.decode("utf-8")
    output = _format(statement) or query.default_format
    if output.lower() not in STREAMED or query.params or statement.verb not in ("SELECT", "WITH"):
        result = connection.query(text, output, params=dict(query.params) or None)
        yield Answer(iter([result.bytes() or b""]), output, rows_read=int(result.rows_read()))
        return
    result = connection.send_query(text, output)
    try:
        yield Answer((piece.bytes() for piece in result), output)
    finally:
        result.close()


def _format(statement: Statement) -> str | None:
    """The format that the statement itself asks for its answer in."""
    for at in range(len(statement.tokens) - 2, -1, -1):
        if statement.tokens[at].kind == "keyword" and statement.tokens[at].name.upper() == "FORMAT":
            return statement.tokens[at + 1].name
    return None


def _insert(connection: Any, statement: Statement, query: Query) -> Answer:
    output = statement.data_format or ""
    if "SELECT" in statement.keywords:
        # chDB answers such an insert as done and stores nothing.
        message = "The embedded server cannot insert from input(): insert the data itself. (NOT_IMPLEMENTED)"
        raise EngineError(48, f"Code: 48. DB::Exception: {message}")
    head = statement.head.decode("utf-8")
    last = statement.tokens[-1]
    head = head[: -len(last.text.decode())] if output == "Values" else head[: head.upper().rindex("FORMAT")]
    stream = connection.send_insert(head, output)
    try:
        stream.append(_inline(statement))
        while piece := query.data.read(PIECE_BYTES_MAX):
            stream.append(piece)
        result = stream.finish()
    except BaseException:
        stream.cancel()
        raise
    return Answer(iter(()), "TabSeparated", rows_written=int(result.rows_written))


def _inline(statement: Statement) -> bytes:
    """Data that follows the statement in its own text. One line's end, or a blank, belongs to the statement."""
    rest = statement.text[len(statement.head) :]
    return re.sub(rb"^[ \t]*;?[ \t]*(\r?\n)?", b"", rest, count=1)
