"""Runs one parsed statement on one connection of chDB: a question, or an insert whose data a client sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tokenmeter.store.access import READER_VERBS
from tokenmeter.store.engine_error import EngineError
from tokenmeter.store.held import Data, held
from tokenmeter.store.native import reframed
from tokenmeter.store.parsed import Statement
from tokenmeter.store.query import Answer, External, Query
from tokenmeter.store.statement import literal

READONLY = 2
"""Reads and settings, but no writes, and ``readonly`` itself cannot be changed."""
STREAMED = frozenset(("native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "jsoneachrow", "rowbinary"))
"""Formats whose pieces, one after another, are the whole: the others are answered at once."""
MARK_CHARACTERS = 32
_INPUT = "_tokenmeter_input"
_NAME = re.compile(r"^\w+$")


def as_it_was(connection: Any, query: Query) -> list[str]:
    """The statements that make a session what it was before this request's settings and database."""
    if not query.session_id:
        return []
    before = [f"SET {name} = DEFAULT" for name in query.settings if _NAME.match(name) and name != "readonly"]
    asked = "SELECT name, value FROM system.settings WHERE changed AND name IN {names:Array(String)}"
    names = "[" + ",".join(literal(name) for name in query.settings) + "]"
    changed = connection.query(asked, "JSONCompactEachRow", params={"names": names}).bytes().decode()
    before += [f"SET {name} = {literal(value)}" for name, value in map(json.loads, changed.splitlines())]
    if query.database is not None:
        there = connection.query("SELECT currentDatabase()", "TabSeparatedRaw").bytes().decode()
        before.append(f"USE {_quoted(there.removesuffix(chr(10)))}")
    return before


def set_up(connection: Any, query: Query) -> None:
    """The request's database, settings and tables; ``readonly`` is seen to apart, for it forbids the others."""
    if query.database is not None:
        connection.query(f"USE {_quoted(query.database)}")
    for name, value in query.settings.items():
        if not _NAME.match(name):
            raise EngineError(115, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
        if name != "readonly":
            connection.query(f"SET {name} = {literal(value)}")
    # The engine makes a query_id of its own: ours is found by this (see ``named_by_query_id``).
    connection.query(f"SET log_comment = {literal(query.mark + query.query_id)}")
    if query.on_progress is not None:
        connection.set_progress_callback(query.on_progress)
    for table in query.external:
        _external(connection, table)


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _external(connection: Any, table: External) -> None:
    if not _NAME.match(table.name):
        raise EngineError(36, f"Code: 36. DB::Exception: {table.name!r} is no name of a table. (BAD_ARGUMENTS)")
    _temporary(connection, table.name, literal(table.structure))
    _insert(connection, f"INSERT INTO `{table.name}`", "", table.format, Data(table.data))


def tear_down(connection: Any, query: Query, before: list[str]) -> None:
    """What a session must not keep of a request."""
    if query.on_progress is not None:
        connection.set_progress_callback(None)
    for table in query.external:
        connection.query(f"DROP TEMPORARY TABLE IF EXISTS `{table.name}`")
    for statement in before:
        with suppress(RuntimeError):  # of a setting that is none, or a database that is gone
            connection.query(statement)


def _temporary(connection: Any, name: str, structure: str) -> None:
    """``structure`` is a string of SQL: the engine reads columns there, and nothing else."""
    connection.query(f"CREATE TEMPORARY TABLE `{name}` ENGINE = Memory AS SELECT * FROM null({structure})")


def forbid_writes(connection: Any, statement: Statement, query: Query) -> None:
    """A reader's connection stays readonly; a writer's session must outlive one request that asked for it."""
    if query.user.readonly:
        connection.query(f"SET readonly = {READONLY}")
    elif query.readonly and statement.verb not in (*READER_VERBS, "SET", "USE"):
        raise EngineError(164, "Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)")


@contextmanager
def select(connection: Any, statement: Statement, query: Query) -> Iterator[Answer]:
    """A statement that waits for no data."""
    text = named_by_query_id(statement)
    output = _format(statement) or query.default_format
    params = dict(query.params)

    is_question = statement.verb in ("SELECT", "WITH")
    newer = query.protocol_version if output.lower() == "native" else 0
    types = _types(connection, statement, params) if newer and is_question else {}

    def native(pieces: Iterator[bytes]) -> Iterator[bytes]:
        return reframed(pieces, newer, types) if newer else pieces

    if output.lower() not in STREAMED or not is_question:
        result = connection.query(text, output, params=params or None)
        yield Answer(
            native(iter([result.bytes() or b""])),
            output if statement.answers else "",
            int(result.rows_read()),
            int(result.bytes_read()),
            int(result.rows_written()),
            int(result.bytes_written()),
        )
        return
    result = connection.send_query(text, output, params=params or None)
    try:
        yield Answer(native(piece.bytes() for piece in result), output)
    finally:
        result.close()


def _types(connection: Any, statement: Statement, params: dict[str, str]) -> dict[str, str]:
    """Types by column, with their time zones: of a DateTime the engine's own blocks do not say it."""
    end = next((t.end - len(t.text) for t in reversed(statement.tokens) if t.kind == "keyword" and _is(t.name)), None)
    question = statement.head[:end].decode()
    try:
        found = connection.query(f"DESCRIBE ({question})", "TabSeparatedRaw", params=params or None)
    except RuntimeError:
        return {}  # the question itself will say why
    rows = (line.split("\t") for line in found.bytes().decode().splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _is(word: str) -> bool:
    return word.upper() == "FORMAT"


def named_by_query_id(statement: Statement) -> str:
    """KILL QUERY names queries by the id that the client gave."""
    if statement.verb == "KILL":
        text = statement.text
        for token in reversed(statement.tokens):
            if token.kind == "identifier" and token.name == "query_id":
                ours = f"substring(Settings['log_comment'], {MARK_CHARACTERS + 1})".encode()
                text = text[: token.end - len(token.text)] + ours + text[token.end :]
        return text.decode()
    return statement.decoded()


def _format(statement: Statement) -> str | None:
    """The format that the statement itself asks for its answer in."""
    for at in range(len(statement.tokens) - 2, -1, -1):
        if statement.tokens[at].kind == "keyword" and _is(statement.tokens[at].name):
            return statement.tokens[at + 1].name
    return None


def insert(connection: Any, statement: Statement, query: Query) -> Answer:
    """An insert with the data that the client sends."""
    output = statement.data_format or ""
    for name, value in query.params.items():
        if not _NAME.match(name):
            raise EngineError(36, f"Code: 36. DB::Exception: {name!r} is no name of a parameter. (BAD_ARGUMENTS)")
        connection.query(f"SET param_{name} = {literal(value)}")
    last = statement.tokens[-1]
    head = statement.head[: -len(last.text)] if output == "Values" else _before_format(statement)
    if "SELECT" in statement.keywords:
        return _insert_of_input(connection, statement, head, output, query)
    into, settings = _cut_at_settings(statement, head)
    return _insert(connection, into.decode(), settings.decode(), output, Data(_inline(statement), query.data))


def _cut_at_settings(statement: Statement, head: bytes) -> tuple[bytes, bytes]:
    """Where the data is stands before the settings."""
    for token in statement.tokens:
        if token.kind == "keyword" and token.name.upper() == "SETTINGS":
            begin = token.end - len(token.text)
            return head[:begin], head[begin:]
    return head, b""


def _before_format(statement: Statement) -> bytes:
    keyword = statement.tokens[-2]
    return statement.text[: keyword.end - len(keyword.text)]


def _insert_of_input(connection: Any, statement: Statement, head: bytes, form: str, query: Query) -> Answer:
    """The data goes into a table of this request's own, which takes the place of ``input()``."""
    called = next((at for at, t in enumerate(statement.tokens) if t.kind == "function" and t.name == "input"), None)
    structure = None if called is None else statement.tokens[called + 1]
    if called is None or structure is None or structure.kind != "string":
        message = "The embedded server needs the structure, as in input('a Int64, b String'). (NOT_IMPLEMENTED)"
        raise EngineError(48, f"Code: 48. DB::Exception: {message}")
    _temporary(connection, _INPUT, structure.text.decode())
    try:
        _insert(connection, f"INSERT INTO `{_INPUT}`", "", form, Data(_inline(statement), query.data))
        name = statement.tokens[called]
        closed = head.index(b")", structure.end) + 1
        text = head[: name.end - len(name.text)] + _INPUT.encode() + head[closed:]
        result = connection.query(text.decode(), "TabSeparated")
        return Answer(iter(()), "", 0, 0, int(result.rows_written()), int(result.bytes_written()))
    finally:
        connection.query(f"DROP TEMPORARY TABLE IF EXISTS `{_INPUT}`")


def _insert(connection: Any, into: str, settings: str, form: str, data: Data) -> Answer:
    """Insert ``data``, which is in the format ``form``. The answer means that it is stored: chDB's own streaming insert
    (``send_insert``, of 26.9) says so too when the table took nothing, of a full disk or too many partitions."""
    with held(data) as path:
        result = connection.query(f"{into} FROM INFILE {literal(path)} {settings} FORMAT {form}", "TabSeparated")
    return Answer(iter(()), "", 0, 0, int(result.rows_written()), int(result.bytes_written()))


def _inline(statement: Statement) -> bytes:
    """Data that follows the statement in its own text. One line's end, or a blank, belongs to the statement."""
    rest = statement.text[len(statement.head) :]
    return re.sub(rb"^[ \t]*;?[ \t]*(\r?\n)?", b"", rest, count=1)
