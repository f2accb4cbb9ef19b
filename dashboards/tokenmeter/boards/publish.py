"""Puts boards into a running Superset and proves that every chart answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tokenmeter.boards import layout, ranges
from tokenmeter.boards.board import Board
from tokenmeter.boards.chart import OURS, Chart, stable_uuid
from tokenmeter.boards.colors import label_colors
from tokenmeter.boards.database import Database
from tokenmeter.boards.datasets import put_database, put_datasets, remove_datasets, renders_templates, view_columns
from tokenmeter.boards.every import BOARDS
from tokenmeter.boards.filters import Columns, native_filters
from tokenmeter.boards.forms import COLORS
from tokenmeter.boards.layers import put_layers
from tokenmeter.boards.rest import THREADS, Rest
from tokenmeter.boards.simulated import labelled
from tokenmeter.store import Fatal, Misconfigured

FACTS = "model_facts"
"""The view that says which models and authors have a colour."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """Where the boards are (the first one's address too, by itself), and each chart's rows of the last day."""

    url: str
    urls: dict[str, str]
    rows: dict[str, int]


def publish(
    superset_url: str,
    user: str,
    password: str,
    database: Database,
    say: Say = lambda line: None,
    boards: Sequence[Board] = BOARDS,
) -> Published:
    """Create or bring up to date everything the boards need, then ask every chart for its last day.

    Twice changes nothing. What an earlier version published and ``boards`` no longer have is removed; what users made
    is left alone. Raises Misconfigured (wrong URL, wrong password) or Fatal naming the object refused.
    """
    with Rest(superset_url, user, password) as rest:
        rows = _publish(rest, database, boards, say)
    base = f"{superset_url.rstrip('/')}/superset/dashboard"
    urls = {board.title: f"{base}/{board.slug}/" for board in boards}
    return Published(next(iter(urls.values()), superset_url), urls, rows)


def _publish(rest: Rest, database: Database, boards: Sequence[Board], say: Say) -> dict[str, int]:
    """Rows of each chart's answer, by its key."""
    views = {view for board in boards for view in board.views} | {FACTS}
    database_id = put_database(rest, database)
    there = view_columns(rest, database_id)
    templates = renders_templates(rest, database_id)
    if not templates:
        say("Superset's flag ENABLE_TEMPLATE_PROCESSING is off: filters by app and provider reach fewer charts")
    datasets, known_columns = put_datasets(rest, database_id, views, there, templates)
    say(f"{len(datasets)} datasets")
    layers = put_layers(rest, (layer for board in boards for layer in board.layers))
    colors = label_colors(_models(rest, datasets[FACTS]))
    boards = labelled(rest, database_id, boards, tuple(there))
    charts_there = {one["uuid"]: one for one in rest.all("chart")}
    ids: dict[str, int] = {}
    for board in boards:
        board_id = _put_board(rest, board)
        mine = {chart.key: _put_chart(rest, chart, datasets, layers, board_id, charts_there) for chart in board.charts}
        ids |= mine
        _arrange(rest, board, board_id, mine, datasets, known_columns, colors)
        _verify(rest, board, set(mine.values()))
    _remove_charts(rest, charts_there, set(ids))
    _remove_boards(rest, boards)
    remove_datasets(rest, database_id, views, rest.all("chart"))
    say(f"{len(ids)} charts on {len(boards)} boards")
    return _answers(rest, [chart for board in boards for chart in board.charts], datasets)


def _models(rest: Rest, dataset_id: int) -> list[tuple[str, str]]:
    """Known models with their authors."""
    question: dict[str, Any] = {"columns": ["name", "author"], "metrics": None, "filters": [], "row_limit": 10_000}
    body = {"datasource": {"id": dataset_id, "type": "table"}, "force": True, "queries": [question]}
    answer = rest.post("chart/data", body)["result"][0]
    if answer.get("error"):
        raise Fatal(f"Superset cannot read boards.{FACTS}: {answer['error']}", hint="tokenmeter migrate")
    return [(row["name"], row["author"]) for row in answer["data"] if not row["name"].endswith("/")]


def _put_board(rest: Rest, board: Board) -> int:
    found = next((b["id"] for b in rest.all("dashboard") if b["slug"] == board.slug), None)
    if found is not None:
        return int(found)
    return int(rest.post("dashboard/", {**board.body(), "uuid": board.uuid})["id"])


def _put_chart(
    rest: Rest,
    chart: Chart,
    datasets: dict[str, int],
    layers: dict[str, int],
    board_id: int,
    there: dict[str, dict[str, Any]],
) -> int:
    """Create the chart, or write it if it is not already what it should be."""
    body = {**chart.body(datasets[chart.view], layers), "dashboards": [board_id]}
    found = there.get(chart.uuid)
    if found is None:
        return int(rest.post("chart/", {**body, "uuid": chart.uuid})["id"])
    seen = {name: found[name] for name in ("slice_name", "description", "viz_type", "datasource_id", "params")}
    if seen != {name: body[name] for name in seen} or [one["id"] for one in found["dashboards"]] != [board_id]:
        rest.put(f"chart/{found['id']}", body)
    return int(found["id"])


def _arrange(
    rest: Rest,
    board: Board,
    board_id: int,
    charts: dict[str, int],
    datasets: dict[str, int],
    known_columns: Columns,
    colors: dict[str, str],
) -> None:
    positions = layout.positions(board, charts)
    metadata = {
        "refresh_frequency": board.refresh_s,
        "color_scheme": COLORS,
        "cross_filters_enabled": True,
        "filter_bar_orientation": "HORIZONTAL",
        "timed_refresh_immune_slices": [],
        "expanded_slices": {},
        "label_colors": colors,
        "native_filter_configuration": native_filters(board, charts, datasets, known_columns),
        "positions": positions,
    }
    body = {**board.body(), "position_json": json.dumps(positions), "json_metadata": json.dumps(metadata)}
    rest.put(f"dashboard/{board_id}", {**body, "css": layout.PHONE_CSS, "roles": _roles(rest, board)})


def _roles(rest: Rest, board: Board) -> list[int]:
    if not board.roles:
        return []
    known = {one["name"]: int(one["id"]) for one in rest.all("security/roles")}
    missing = sorted(set(board.roles) - set(known))
    if missing:
        raise Misconfigured(f"Superset has no role {', '.join(missing)} for the board {board.title!r}")
    return [known[name] for name in board.roles]


def is_ours(chart: dict[str, Any]) -> bool:
    """Whether a chart in Superset was published from here: a user's copy keeps our form but has a uuid of its own."""
    try:
        key = json.loads(chart["params"] or "{}").get(OURS)
    except (ValueError, AttributeError):
        return False
    return isinstance(key, str) and chart["uuid"] == stable_uuid("chart", key)


def _remove_charts(rest: Rest, there: dict[str, dict[str, Any]], wanted: set[str]) -> None:
    kept = {stable_uuid("chart", key) for key in wanted}
    for uuid, chart in there.items():
        if uuid not in kept and is_ours(chart):
            rest.delete(f"chart/{chart['id']}")


def _remove_boards(rest: Rest, boards: Sequence[Board]) -> None:
    wanted = {board.slug for board in boards}
    for one in rest.all("dashboard"):
        slug = one["slug"] or ""
        if slug not in wanted and one.get("uuid") == stable_uuid("dashboard", slug):
            rest.delete(f"dashboard/{one['id']}")


def _answers(rest: Rest, charts: list[Chart], datasets: dict[str, int]) -> dict[str, int]:
    """How many rows of the last day each chart's query answers with: months would be read to learn nothing more."""

    def ask(chart: Chart) -> int:
        result = rest.post("chart/data", chart.query(datasets[chart.view], ranges.LAST_DAY))["result"][0]
        if result.get("error"):
            what = f"chart {chart.title!r} cannot read boards.{chart.view}: {result['error']}"
            raise Fatal(what, hint="tokenmeter migrate")
        return len(result["data"])

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip((chart.key for chart in charts), pool.map(ask, charts), strict=True))


def _verify(rest: Rest, board: Board, ours: set[int]) -> None:
    """Superset drops a board's charts silently when it dislikes their positions: look."""
    there = {chart["id"] for chart in rest.get(f"dashboard/{board.slug}/charts")["result"]}
    kept = rest.get(f"dashboard/{board.slug}")["result"]
    placed = {
        node["meta"]["chartId"]
        for node in json.loads(kept["position_json"]).values()
        if isinstance(node, dict) and node.get("type") == "CHART"
    }
    if not (ours <= there and ours == placed):
        raise Fatal(f"Superset kept charts {sorted(there & placed)} of {sorted(ours)} on the board {board.slug}")
