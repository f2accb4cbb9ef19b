"""Says of every table, view and column what it is: of views and repeated measures from what their tables say.

What a migration said stays. A view that was made anew has lost its comments and is given them again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from importlib.resources import files
from string import Template

from clickhouse_connect.driver.client import Client

from tokenmeter.store.statement import literal, sql

Comments = dict[tuple[str, str, str], str]
"""By (database, table, column); of the table itself its column is empty."""
_BY = re.compile(r"_by_(provider|app_and_provider|app)$")
_BY_WORDS = {"provider": "by provider", "app": "by application", "app_and_provider": "by application and provider"}
_SHOWN = "shown_"
_TABLES_FIRST = ("market_hourly", "usage_market", "calls_by_minute", "usage_billing", "usage_events")
"""Whose words a measure has where several tables explain it."""


def glossary() -> dict[str, str]:
    """What ``comments.csv`` says, by name."""
    lines = (files(__package__) / "comments.csv").read_text("utf-8").splitlines()
    rows = (line.partition("|") for line in lines if line and not line.startswith("#"))
    return {name: comment for name, _, comment in rows}


def found(client: Client) -> Comments:
    """What the store says now."""
    return {(str(d), str(t), str(c)): str(comment) for d, t, c, comment in client.query(sql("uncommented")).result_rows}


def missing(there: Comments, known: Mapping[str, str]) -> Comments:
    """A comment for each that has none; one that nobody can explain is left out."""
    by_column: dict[str, str] = {}
    for (database, _, column), comment in sorted(there.items(), key=lambda one: _order(one[0][1])):
        if column and comment and database == "tokenmeter":
            by_column.setdefault(column, comment)
    explained = {}
    for (database, table, column), comment in there.items():
        if comment:
            continue
        names = (f"{database}.{table}.{column}", f"{table}.{column}", column) if column else (f"{database}.{table}",)
        words = next((known[name] for name in names if name in known), None)
        words = words or (by_column.get(column) if column else _of_table(database, table, there, known))
        if words:
            explained[database, table, column] = words
    return explained


def _order(table: str) -> int:
    return _TABLES_FIRST.index(table) if table in _TABLES_FIRST else len(_TABLES_FIRST)


def _of_table(database: str, table: str, there: Comments, known: Mapping[str, str]) -> str | None:
    if table.startswith(_SHOWN):
        metered = there.get(("tokenmeter", table.removeprefix(_SHOWN), ""))
        return f"Metered and simulated rows together. {metered}" if metered else None
    by = _BY.search(table)
    base = known.get(f"{database}.{table[: by.start()]}") if by else None
    return f"{base}, {_BY_WORDS[by.group(1)]}" if by and base else None


def explain(client: Client, cluster: str | None = None) -> int:
    """Give a comment to all that has none; how many were given. Running it again does nothing."""
    given = missing(found(client), glossary())
    by_table: dict[str, list[str]] = defaultdict(list)
    for (database, table, column), comment in given.items():
        quoted = literal(comment)
        part = f"COMMENT COLUMN `{column}` {quoted}" if column else f"MODIFY COMMENT {quoted}"
        by_table[f"`{database}`.`{table}`"].append(part)
    on_cluster = "" if cluster is None else f" ON CLUSTER '{cluster}'"
    for table, parts in by_table.items():
        statement = Template(sql("comment"))
        client.command(statement.substitute(table=table, on_cluster=on_cluster, parts=",\n    ".join(parts)))
    return len(given)
