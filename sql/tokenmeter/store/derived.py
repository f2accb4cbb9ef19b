"""What of ClickHouse is derived from Kafka: every view, and each table that a topic is loaded into.

``loaded`` names those tables; what else the migrations make (the history of reconcile, what is simulated) is nobody's
copy and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from clickhouse_connect.driver.client import Client

from tokenmeter.store.migrate import Migration, bundled
from tokenmeter.store.statement import sql

Name = tuple[str, str]
"""(database, table or view)"""

DATABASE = "tokenmeter"
HISTORY: Name = (DATABASE, "schema_migrations")
_CREATED = re.compile(
    r"^(CREATE|DROP)\s+(?:OR REPLACE\s+)?(?:MATERIALIZED\s+)?(TABLE|VIEW)\s+(?:IF (?:NOT )?EXISTS\s+)?(\w+)\.(\w+)",
    re.I | re.M,
)


def created(migrations: Iterable[Migration] | None = None) -> list[tuple[Name, bool]]:
    """What the migrations leave behind, in the order in which they first create it, and whether it is a table."""
    there: dict[Name, bool] = {}
    for migration in bundled() if migrations is None else migrations:
        for what, kind, database, name in _CREATED.findall(migration.statement):
            if what.upper() == "DROP":
                there.pop((database, name), None)
            else:
                there.setdefault((database, name), kind.upper() == "TABLE")
    return list(there.items())


def tables(loaded: Collection[str]) -> list[Name]:
    """The tables that hold what was loaded."""
    return [name for name, is_table in created() if is_table and _is_loaded(name, loaded)]


def _is_loaded(name: Name, loaded: Collection[str]) -> bool:
    return name[0] == DATABASE and name[1] in loaded


def drop_derived(client: Client, loaded: Collection[str]) -> list[Name]:
    """Drop all that is derived and nothing else; the migrations' history first, so that they make all of it anew."""
    derived = [name for name, is_table in created() if not is_table or _is_loaded(name, loaded)]
    names = [HISTORY, *reversed(derived)]
    for database, table in names:
        client.command(sql("drop_table"), parameters={"database": database, "table": table})
    return names


def digests(client: Client, loaded: Collection[str]) -> dict[Name, tuple[int, int]]:
    """By table: (rows, digest of their contents)."""
    found = {}
    for database, table in tables(loaded):
        parameters = {"database": database, "table": table}
        rows, digest = client.query(sql("table_digest"), parameters=parameters).result_rows[0]
        found[database, table] = (int(rows), int(digest or 0))
    return found


def raw_rows_below(client: Client, partition: int, below: int) -> int:
    """Stored events of ``partition`` from before offset ``below``."""
    parameters = {"partition": partition, "below": below}
    return int(client.query(sql("raw_rows_below"), parameters=parameters).result_rows[0][0])
