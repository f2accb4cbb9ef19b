"""Where charts stand: tabs of rows of a twelve-column grid, filled from left to right in the order of the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenmeter.boards.board import Board
from tokenmeter.boards.chart import Chart

COLUMNS = 12
NOTE_HEIGHT = 7
PHONE_CSS = """
@media (max-width: 700px) {
  .dashboard-content .grid-container { overflow-x: hidden; }
  .dashboard-content .grid-container > div { min-width: 760px; }
  .dashboard-content .dashboard-component-tabs .ant-tabs-nav { max-width: calc(100vw - 32px); }
  .dashboard-content .grid-row { flex-wrap: wrap; max-width: calc(100vw - 24px); overflow-x: auto; height: auto; }
}
"""
"""On a phone the grid keeps a readable width and its rows wrap: half-width charts fill the screen one by one, wider
ones scroll sideways by themselves."""


def rows(charts: Iterable[Chart]) -> list[list[Chart]]:
    """Charts in rows of at most COLUMNS columns."""
    filled: list[list[Chart]] = []
    for chart in charts:
        if not filled or sum(c.width for c in filled[-1]) + chart.width > COLUMNS:
            filled.append([])
        filled[-1].append(chart)
    return filled


def positions(board: Board, ids: Mapping[str, int]) -> dict[str, Any]:
    """Superset's ``position_json``; ``ids`` maps a chart's key to its id. Each chart carries chartId and uuid."""
    made: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": _node("GRID", "GRID_ID", ["ROOT_ID"]),
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": board.title}},
    }
    if board.note:
        _note(made, board.note)
    if len(board.tabs) == 1:
        _rows(made, "GRID_ID", board.tabs[0].charts, ids, "0")
        return made
    made["TABS-0"] = _node("TABS", "TABS-0", ["ROOT_ID", "GRID_ID"])
    made["GRID_ID"]["children"].append("TABS-0")
    for number, tab in enumerate(board.tabs):
        name = f"TAB-{number}"
        made[name] = _node("TAB", name, ["ROOT_ID", "GRID_ID", "TABS-0"], {"text": tab.title})
        made["TABS-0"]["children"].append(name)
        _rows(made, name, tab.charts, ids, str(number))
    return made


def _node(kind: str, name: str, parents: list[str], meta: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "id": name, "children": [], "parents": parents, "meta": meta or {}}


def _row(made: dict[str, Any], name: str, parent: str) -> list[str]:
    """A new row under ``parent``; the parents of what stands in it."""
    parents = [*made[parent]["parents"], parent] if parent != "GRID_ID" else ["ROOT_ID", "GRID_ID"]
    made[name] = _node("ROW", name, parents, {"background": "BACKGROUND_TRANSPARENT"})
    made[parent]["children"].append(name)
    return [*parents, name]


def _rows(made: dict[str, Any], parent: str, charts: Iterable[Chart], ids: Mapping[str, int], label: str) -> None:
    for number, line in enumerate(rows(charts)):
        row = f"ROW-{label}-{number}"
        parents = _row(made, row, parent)
        for chart in line:
            name = f"CHART-{chart.key}"
            made[row]["children"].append(name)
            meta = {"chartId": ids[chart.key], "uuid": chart.uuid, "sliceName": chart.title}
            made[name] = _node("CHART", name, parents, {**meta, "width": chart.width, "height": chart.height})


def _note(made: dict[str, Any], text: str) -> None:
    parents = _row(made, "ROW-note", "GRID_ID")
    made["ROW-note"]["children"].append("MARKDOWN-note")
    made["MARKDOWN-note"] = _node(
        "MARKDOWN", "MARKDOWN-note", parents, {"code": text, "width": COLUMNS, "height": NOTE_HEIGHT}
    )
