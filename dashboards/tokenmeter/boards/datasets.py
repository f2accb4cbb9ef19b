"""The database and the datasets: what Superset must know of ClickHouse before it can draw a chart."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tokenmeter.boards import grains
from tokenmeter.boards.chart import stable_uuid
from tokenmeter.boards.database import NAME, SCHEMA, Database
from tokenmeter.boards.rest import THREADS, Rest
from tokenmeter.store import Fatal

ROWS_MAX = 10_000
COLUMNS_SQL = f"""
SELECT table AS view, name AS column, type FROM system.columns WHERE database = '{SCHEMA}' ORDER BY table, position
"""
Columns = dict[str, grains.Types]
"""Types of columns, by view."""
TEMPLATE_SQL = "SELECT '{{ 1 + 1 }}' AS rendered"


def put_database(rest: Rest, database: Database) -> int:
    """Create the connection or bring it up to date; its id."""
    found = next((d["id"] for d in rest.all("database") if d["database_name"] == NAME), None)
    body = {"database_name": NAME, "sqlalchemy_uri": database.uri(), "expose_in_sqllab": True, "allow_dml": False}
    if found is None:
        return int(rest.post("database/", {**body, "uuid": stable_uuid("database", NAME)})["id"])
    rest.put(f"database/{found}", body)
    return int(found)


def view_columns(rest: Rest, database_id: int) -> Columns:
    """The columns that each view of ClickHouse has now."""
    body = {"database_id": database_id, "sql": COLUMNS_SQL, "runAsync": False, "queryLimit": ROWS_MAX}
    found: Columns = {}
    for row in rest.post("sqllab/execute/", body)["data"]:
        found.setdefault(row["view"], {})[row["column"]] = row["type"].upper()
    return found


def renders_templates(rest: Rest, database_id: int) -> bool:
    """Whether this Superset has its flag ENABLE_TEMPLATE_PROCESSING."""
    body = {"database_id": database_id, "sql": TEMPLATE_SQL, "runAsync": False, "queryLimit": 1}
    try:
        return bool(rest.post("sqllab/execute/", body)["data"][0]["rendered"] == "2")
    except Fatal:
        return False


def put_datasets(
    rest: Rest, database_id: int, views: Iterable[str], there: Columns, templates: bool = True
) -> tuple[dict[str, int], Columns]:
    """A dataset per view, with the columns it has now; ids by view, and each dataset's columns.

    ``there`` are the views of ClickHouse. Without ``templates`` a dataset is its smallest view. Raises Fatal when
    ClickHouse lacks a view.
    """
    known = _known(rest, database_id)
    wanted = sorted(views)
    needed = {one for view in wanted for one in (grains.views(view) if templates else {view})}
    if missing := sorted(needed - set(there)):
        raise Fatal(f"ClickHouse has no view {SCHEMA}.{missing[0]}", hint="tokenmeter migrate")
    columns = {view: grains.columns(view, there) if templates else there[view] for view in wanted}

    def put(view: str) -> int:
        sql = grains.sql(view, there) if templates else None
        if view not in known:
            body = {"database": database_id, "schema": SCHEMA, "table_name": view, "uuid": stable_uuid("dataset", view)}
            try:
                return int(rest.post("dataset/", {**body, **({"sql": sql} if sql else {})})["id"])
            except Fatal:
                # A slow Superset may have made it at a first try whose answer did not come.
                if (made := _known(rest, database_id).get(view)) is None:
                    raise
                return made
        found = rest.get(f"dataset/{known[view]}")["result"]
        if (found["sql"] or None) != sql:
            rest.put(f"dataset/{known[view]}", {"sql": sql or ""})
        # Refreshing asks ClickHouse for the view's columns one view at a time: it was a third of a publish.
        if {column["column_name"]: column["type"].upper() for column in found["columns"]} != columns[view]:
            rest.put(f"dataset/{known[view]}/refresh", {})
        return known[view]

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(wanted, pool.map(put, wanted), strict=True)), columns


def _known(rest: Rest, database_id: int) -> dict[str, int]:
    return {d["table_name"]: int(d["id"]) for d in rest.all("dataset") if d["database"]["id"] == database_id}


def remove_datasets(rest: Rest, database_id: int, wanted: Collection[str], charts: list[dict[str, Any]]) -> None:
    """Delete datasets that were ours, serve no board any more, and no chart of a user either."""
    used = {chart["datasource_id"] for chart in charts}
    for one in rest.all("dataset"):
        name = one["table_name"]
        ours = one["database"]["id"] == database_id and one.get("uuid") == stable_uuid("dataset", name)
        if ours and name not in wanted and one["id"] not in used:
            rest.delete(f"dataset/{one['id']}")
