"""A board's filters as Superset's native filters: each reaches the charts that it can filter, and no other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tokenmeter.boards.board import Board, Filter, TimeFilter
from tokenmeter.boards.chart import Chart

Columns = Mapping[str, Collection[str]]
"""Columns of each view."""


def reaches(one: Filter | TimeFilter, chart: Chart, columns: Columns) -> bool:
    """Whether ``one`` changes what ``chart`` shows."""
    if isinstance(one, TimeFilter):
        return chart.time_column is not None
    return one.column in columns[chart.view]


def native_filters(
    board: Board, charts: Mapping[str, int], datasets: Mapping[str, int], columns: Columns
) -> list[dict[str, Any]]:
    """``native_filter_configuration``; ``charts`` and ``datasets`` map keys and views to Superset's ids."""
    made = []
    for one in board.filters:
        reached = [charts[chart.key] for chart in board.charts if reaches(one, chart, columns)]
        excluded = [charts[chart.key] for chart in board.charts if not reaches(one, chart, columns)]
        common = {
            "name": one.name,
            "type": "NATIVE_FILTER",
            "description": "",
            "cascadeParentIds": [],
            "scope": {"rootPath": ["ROOT_ID"], "excluded": excluded},
            "chartsInScope": reached,
        }
        made.append({**common, **(_time(one) if isinstance(one, TimeFilter) else _select(one, datasets))})
    return made


def _time(one: TimeFilter) -> dict[str, Any]:
    return {
        "id": "NATIVE_FILTER-time",
        "filterType": "filter_time",
        "targets": [{}],
        "controlValues": {"enableEmptyFilter": False},
        "defaultDataMask": {"extraFormData": {"time_range": one.default}, "filterState": {"value": one.default}},
    }


def _select(one: Filter, datasets: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{one.column}",
        "filterType": "filter_select",
        "targets": [{"datasetId": datasets[one.view], "column": {"name": one.column}}],
        "controlValues": {
            "multiSelect": True,
            "enableEmptyFilter": False,
            "defaultToFirstItem": False,
            "inverseSelection": False,
            "searchAllOptions": True,
        },
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
    }
