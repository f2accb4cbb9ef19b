"""Numbered migrations, one statement a file: applied in order, once, and never edited afterwards."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.store.cluster import render, require_settings
from tokenmeter.store.parsed import parse
from tokenmeter.store.statement import sql

MIGRATE_TIMEOUT_S = 86_400
"""A table that is copied may be large."""
COPIED_ROWS_PER_SECOND = 200_000
"""On two cores that do nothing else; for the announcement alone."""
_DATABASE = "0001_database"
_COPY = re.compile(r"^\d+_(\w+)_copy$")


@dataclass(frozen=True)
class Migration:
    """One file: ``name`` without its ending, its statement and the SHA-256 of it."""

    name: str
    statement: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.statement.encode()).hexdigest()


def bundled() -> list[Migration]:
    """The migrations of this version, in order."""
    found = [f for f in (files(__package__) / "migrations").iterdir() if f.name.endswith(".sql")]
    return sorted((Migration(f.name[:-4], f.read_text("utf-8")) for f in found), key=lambda m: m.name)


def migrate(
    client: Client,
    migrations: list[Migration] | None = None,
    say: Callable[[str], None] = lambda line: None,
    cluster: str | None = None,
) -> list[str]:
    """Apply what is new; returns its names. Running it again does nothing. On a ``cluster`` it is asked of one node.

    ``say`` is told of each table that is copied: how many rows, how long about, and how long it took. Give the client a
    query_timeout_s of MIGRATE_TIMEOUT_S for that.

    Raises Misconfigured when an applied migration was edited since, Fatal when a statement fails.
    """
    wanted = bundled() if migrations is None else migrations
    applied: list[str] = []
    try:
        if cluster is not None:
            require_settings(client, cluster)
        _prepare(client, wanted, cluster)
        history = client.query("SELECT name, checksum FROM tokenmeter.schema_migrations FINAL")
        done: dict[str, str] = {row[0]: row[1] for row in history.result_rows}
        for migration in wanted:
            if migration.name in done:
                if done[migration.name] != migration.checksum:
                    raise Misconfigured(
                        f"migration {migration.name}.sql was applied with another text than it has now",
                        hint="restore the file and put the change into a new migration",
                    )
                continue
            began, rows = time.monotonic(), _rows_to_copy(client, migration)
            if rows:
                say(f"{migration.name}: copying {rows:,} rows, about {rows / COPIED_ROWS_PER_SECOND:,.0f} s")
            _run(client, migration.statement, cluster)
            if rows:
                say(f"{migration.name}: copied in {time.monotonic() - began:,.0f} s")
            noted = {"name": migration.name, "checksum": migration.checksum}
            client.command(sql("migration_applied"), parameters=noted)
            applied.append(migration.name)
    except ClickHouseError as error:
        after = applied[-1] if applied else "the start"
        raise Fatal(f"migrating ClickHouse failed after {after}: {str(error).splitlines()[0][:500]}") from error
    return applied


def _rows_to_copy(client: Client, migration: Migration) -> int:
    """0 for what is no copy: copies are named TABLE_copy and read TABLE_uncut."""
    found = _COPY.match(migration.name)
    if found is None:
        return 0
    parameters = {"database": "tokenmeter", "table": f"{found.group(1)}_uncut"}
    return int(client.query(sql("table_rows"), parameters=parameters).result_rows[0][0])


def _prepare(client: Client, migrations: list[Migration], cluster: str | None) -> None:
    """The history's own database and table come before the history can be read."""
    for migration in migrations:
        if migration.name == _DATABASE:
            _run(client, migration.statement, cluster)
    _run(client, sql("migration_history"), cluster)


def _run(client: Client, statement: str, cluster: str | None) -> None:
    """One migration: one statement, or the several it becomes on a cluster."""

    def ask(text: str, params: dict[str, str]) -> bytes:
        return client.raw_query(text, parameters=params, fmt="TabSeparatedRaw")

    statements = [statement] if cluster is None else render(parse(ask, statement.encode()), cluster)
    for one in statements:
        client.command(one)
