"""Who may run what on the embedded server.

The engine's own grants refuse files, URLs and remote servers to everybody (``config.xml``) and ``readonly`` refuses a
reader's writes; both hold whatever is written here. This adds what the engine leaves open.

| | writer | reader |
|---|---|---|
| statements | all | SELECT, SHOW, DESCRIBE, EXISTS, EXPLAIN |
| databases | all | his own (``boards``), and of ``system`` what describes tables |
| table functions | those the engine grants | those that make rows of nothing |
| ``file()``, INTO OUTFILE, FROM INFILE, Python, engines that read from a queue | none | none |
"""

from __future__ import annotations

from collections.abc import Collection

from tokenmeter.store.engine_error import EngineError
from tokenmeter.store.parsed import Statement

READONLY, ACCESS_DENIED, NOT_IMPLEMENTED = 164, 497, 48
QUEUE_ENGINES = frozenset(("kafka", "rabbitmq", "nats", "filelog", "s3queue", "azurequeue"))
OUTSIDE_FUNCTIONS = frozenset(("file", "python", "executable", "executablepool", "catboostevaluate"))
OUTSIDE_KEYWORDS = frozenset(("INTO OUTFILE", "FROM INFILE"))
READER_VERBS = frozenset(("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"))
READER_TABLE_FUNCTIONS = frozenset(
    ("numbers", "numbers_mt", "values", "view", "null", "zeros", "generateseries", "generate_series", "format")
)
READER_SYSTEM_TABLES = frozenset(
    (
        *("databases", "tables", "columns", "settings", "functions", "formats", "one", "numbers", "time_zones"),
        *("data_type_families", "table_functions", "table_engines", "build_options"),
    )
)
INNOCENT_DATABASES = frozenset(("default", "information_schema", "INFORMATION_SCHEMA"))
_ELSEWHERE = ("dictget", "joinget", "dicthas", "dictisin")
"""Functions that name a table in a string."""


def require_safe(statement: Statement) -> None:
    """Raises EngineError when nobody may run it."""
    if (statement.engine or "").lower() in QUEUE_ENGINES:
        raise _refused(
            NOT_IMPLEMENTED,
            "The embedded server refuses engines that read from a queue: with one, the data directory could not be "
            "opened again. (NOT_IMPLEMENTED)",
        )
    for name in sorted(OUTSIDE_FUNCTIONS & statement.functions) + sorted(OUTSIDE_KEYWORDS & {*statement.keywords}):
        raise _refused(ACCESS_DENIED, f"{name} reaches outside of the server. (ACCESS_DENIED)")


def require_reader(
    statement: Statement,
    database: str,
    own: Collection[str],
    databases: Collection[str],
    table_functions: Collection[str],
) -> None:
    """Raises EngineError when a reader of the databases ``own`` may not run it. The rest is what the server has."""
    if statement.verb not in READER_VERBS or statement.is_insert:
        raise _refused(READONLY, "Cannot execute query in readonly mode. (READONLY)")
    forbidden = {*databases} - {*own} - INNOCENT_DATABASES
    if database in forbidden:
        raise _refused(ACCESS_DENIED, f"Not enough privileges on database {database}. (ACCESS_DENIED)")
    for token, following in zip(statement.tokens, (*statement.tokens[1:], None), strict=True):
        if token.kind in ("keyword", "string", "number"):
            continue
        describes = token.name == "system" and following is not None and following.name in READER_SYSTEM_TABLES
        if token.name in forbidden and not describes:
            raise _refused(ACCESS_DENIED, f"Not enough privileges on {token.name}. (ACCESS_DENIED)")
    denied = {name.lower() for name in table_functions} - READER_TABLE_FUNCTIONS
    for name in sorted(statement.functions):
        if name in denied or name.startswith(_ELSEWHERE):
            raise _refused(ACCESS_DENIED, f"Not enough privileges for {name}. (ACCESS_DENIED)")


def _refused(code: int, message: str) -> EngineError:
    return EngineError(code, f"Code: {code}. DB::Exception: {message}")
