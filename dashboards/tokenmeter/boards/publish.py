"""Puts the boards into a running Superset and proves that they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from tokenmeter.boards import layout, market
from tokenmeter.boards.chart import Chart, stable_uuid
from tokenmeter.boards.rest import Rest
from tokenmeter.store import Fatal, Misconfigured

DATABASE = "tokenmeter"
SCHEMA = "boards"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Database:
    """The ClickHouse the boards read, as Superset reaches it; the user should be a read-only one."""

    url: str
    user: str
    password: str

    def uri(self) -> str:
        """For SQLAlchemy. Raises Misconfigured when the URL has no host."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured(f"{self.url!r} is no ClickHouse URL", hint="check TOKENMETER_CLICKHOUSE_URL")
        secure = parts.scheme == "https"
        port = parts.port or (8443 if secure else 8123)
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"clickhousedb://{login}@{parts.hostname}:{port}/{SCHEMA}" + ("?secure=true" if secure else "")


@dataclass(frozen=True)
class Published:
    """Where the board is, and how many rows each chart's query answered with."""

    url: str
    rows: dict[str, int]


def publish(superset_url: str, user: str, password: str, database: Database, say: Say = lambda line: None) -> Published:
    """Create or bring up to date everything the board needs, then ask every chart for its data.

    Twice changes nothing. Raises Misconfigured (wrong URL, wrong password) or Fatal naming the object refused.
    """
    with Rest(superset_url, user, password) as rest:
        rows = _publish(rest, database, say)
    return Published(f"{superset_url.rstrip('/')}/superset/dashboard/{market.SLUG}/", rows)


def _publish(rest: Rest, database: Database, say: Say) -> dict[str, int]:
    """Rows of each chart's answer, by its key."""
    database_id = _database(rest, database)
    charts = market.CHARTS
    datasets = {view: _dataset(rest, database_id, view) for view in sorted({chart.view for chart in charts})}
    say(f"{len(datasets)} datasets")
    board_id = _board(rest)
    ids = {chart.key: _chart(rest, chart, datasets[chart.view], board_id) for chart in charts}
    _remove_others(rest, set(ids.values()))  # before arranging: what has no place is no longer listed
    _arrange(rest, board_id, charts, ids)
    say(f"{len(ids)} charts")
    rows = {chart.key: _answer(rest, chart, datasets[chart.view]) for chart in charts}
    _verify(rest, set(ids.values()))
    return rows


def _upsert(rest: Rest, kind: str, found: int | None, body: dict[str, Any], create: dict[str, Any]) -> int:
    if found is not None:
        rest.put(f"{kind}/{found}", body)
        return found
    return int(rest.post(f"{kind}/", {**body, **create})["id"])


def _database(rest: Rest, database: Database) -> int:
    found = next((d["id"] for d in rest.all("database") if d["database_name"] == DATABASE), None)
    body = {"database_name": DATABASE, "sqlalchemy_uri": database.uri(), "expose_in_sqllab": True, "allow_dml": False}
    return _upsert(rest, "database", found, body, {"uuid": stable_uuid("database", DATABASE)})


def _dataset(rest: Rest, database_id: int, view: str) -> int:
    found = next(
        (d["id"] for d in rest.all("dataset") if d["table_name"] == view and d["database"]["id"] == database_id), None
    )
    if found is None:
        body = {"database": database_id, "schema": SCHEMA, "table_name": view, "uuid": stable_uuid("dataset", view)}
        return int(rest.post("dataset/", body)["id"])
    rest.put(f"dataset/{found}/refresh", {})
    return int(found)


def _board(rest: Rest) -> int:
    found = next((b["id"] for b in rest.all("dashboard") if b["slug"] == market.SLUG), None)
    body = {"dashboard_title": market.TITLE, "slug": market.SLUG, "published": True}
    return _upsert(rest, "dashboard", found, body, {"uuid": stable_uuid("dashboard", market.SLUG)})


def _chart(rest: Rest, chart: Chart, dataset_id: int, board_id: int) -> int:
    found = next((c["id"] for c in _charts_of_board(rest) if c["slice_name"] == chart.title), None)
    body = {
        "slice_name": chart.title,
        "description": chart.description,
        "viz_type": chart.viz_type,
        "datasource_id": dataset_id,
        "datasource_type": "table",
        "params": json.dumps(chart.form(dataset_id)),
        "query_context": json.dumps({**chart.query(dataset_id), "force": False}),
        "dashboards": [board_id],
    }
    return _upsert(rest, "chart", found, body, {"uuid": chart.uuid})


def _charts_of_board(rest: Rest) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = rest.get(f"dashboard/{market.SLUG}/charts")["result"]
    return result


def _arrange(rest: Rest, board_id: int, charts: Sequence[Chart], ids: dict[str, int]) -> None:
    positions = layout.positions(market.TITLE, charts, ids)
    metadata = {
        "refresh_frequency": market.REFRESH_S,
        "color_scheme": market.COLORS,
        "cross_filters_enabled": True,
        "timed_refresh_immune_slices": [],
        "expanded_slices": {},
        "label_colors": {"Errors": "#E04355", "Others": "#B2B2B2"},
        "native_filter_configuration": [],
        "positions": positions,
    }
    rest.put(f"dashboard/{board_id}", {"position_json": json.dumps(positions), "json_metadata": json.dumps(metadata)})


def _remove_others(rest: Rest, ours: set[int]) -> None:
    for chart in _charts_of_board(rest):
        if chart["id"] not in ours:
            rest.delete(f"chart/{chart['id']}")


def _answer(rest: Rest, chart: Chart, dataset_id: int) -> int:
    """How many rows the chart's query answers with."""
    result = rest.post("chart/data", chart.query(dataset_id))["result"][0]
    if result.get("error"):
        raise Fatal(
            f"chart {chart.title!r} cannot read boards.{chart.view}: {result['error']}", hint="tokenmeter migrate"
        )
    return len(result["data"])


def _verify(rest: Rest, ours: set[int]) -> None:
    """Superset drops a board's charts silently when it dislikes their positions: look."""
    there = {chart["id"] for chart in _charts_of_board(rest)}
    board = rest.get(f"dashboard/{market.SLUG}")["result"]
    placed = {
        node["meta"]["chartId"]
        for node in json.loads(board["position_json"]).values()
        if isinstance(node, dict) and node.get("type") == "CHART"
    }
    if not ours == there == placed:
        raise Fatal(f"Superset kept charts {sorted(there & placed)} of {sorted(ours)} on the board {market.SLUG}")
