"""Where charts stand: rows of a twelve-column grid, filled from left to right in the order of the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenmeter.boards.chart import Chart

COLUMNS = 12


def rows(charts: Iterable[Chart]) -> list[list[Chart]]:
    """Charts in rows of at most COLUMNS columns."""
    filled: list[list[Chart]] = []
    for chart in charts:
        if not filled or sum(c.width for c in filled[-1]) + chart.width > COLUMNS:
            filled.append([])
        filled[-1].append(chart)
    return filled


def positions(title: str, charts: Iterable[Chart], ids: Mapping[str, int]) -> dict[str, Any]:
    """Superset's ``position_json``; ``ids`` maps a chart's key to its id. Each chart carries chartId and uuid."""
    lines = rows(charts)
    names = [f"ROW-{number}" for number in range(len(lines))]
    made: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": names, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
    }
    for name, line in zip(names, lines, strict=True):
        children = [f"CHART-{chart.key}" for chart in line]
        made[name] = {
            "type": "ROW",
            "id": name,
            "children": children,
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for child, chart in zip(children, line, strict=True):
            made[child] = {
                "type": "CHART",
                "id": child,
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", name],
                "meta": {
                    "chartId": ids[chart.key],
                    "uuid": chart.uuid,
                    "sliceName": chart.title,
                    "width": chart.width,
                    "height": chart.height,
                },
            }
    return made
