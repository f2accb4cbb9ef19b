"""The boards as values: what Superset would drop, draw falsely or answer wrongly is never written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenmeter.boards import BOARDS, Board, layout
from tokenmeter.boards.board import Filter, Layer, Tab, TimeFilter
from tokenmeter.boards.chart import OURS, Chart
from tokenmeter.boards.colors import AUTHORS, label_colors, model_color
from tokenmeter.boards.database import Database
from tokenmeter.boards.events import MARKET_WEEKS
from tokenmeter.boards.filters import native_filters
from tokenmeter.boards.forms import TOKENS_FORMAT, axis, over_time, table
from tokenmeter.boards.metrics import CALLS, TOKENS
from tokenmeter.boards.publish import is_ours
from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.migrate import bundled

VIEWS = {migration.name.split("_boards_")[1] for migration in bundled() if "_boards_" in migration.name}
CHARTS = [chart for board in BOARDS for chart in board.charts]
LAYERS = {MARKET_WEEKS.name: 1}
TIMESERIES = ("echarts_timeseries_bar", "echarts_timeseries_line", "echarts_area")


def faults(charts: list[Chart]) -> list[str]:
    """Traps of Superset that a board has walked into."""
    found = []
    for chart in charts:
        form = chart.form(1, LAYERS)
        x = form.get("x_axis")
        if x is not None and x["label"] == x["sqlExpression"]:
            found.append(f"{chart.key}: the time axis bears its column's name")
        if any(one["label"] == one["sqlExpression"] for one in chart.series):
            found.append(f"{chart.key}: Others needs a series with a label of its own")
        if not chart.description.endswith("."):
            found.append(f"{chart.key}: no definition")
        if chart.view not in VIEWS:
            found.append(f"{chart.key}: no view {chart.view}")
        if chart.viz_type == "echarts_timeseries_line" and "resample_rule" not in form:
            found.append(f"{chart.key}: a line across time without data")
        if chart.viz_type in TIMESERIES and "UTC" not in form["tooltipTimeFormat"]:
            found.append(f"{chart.key}: a tooltip that does not say UTC")
    keys = [chart.key for chart in charts]
    return found + (["a key is used twice"] if len(set(keys)) != len(keys) else [])


def test_every_chart_keeps_clear_of_the_traps() -> None:
    assert faults(CHARTS) == []


def sums_of_tokens(charts: list[Chart]) -> list[str]:
    """Tables that would show an integer beyond 2^53, on which Superset's table fails."""
    tables = [chart for chart in charts if chart.viz_type == "table"]
    summed = {(chart.key, one["column"]["column_name"]) for chart in tables for one in chart.metrics if "column" in one}
    return sorted(key for key, column in summed if "tokens" in column)


def test_no_table_adds_tokens_as_integers() -> None:
    assert sums_of_tokens(CHARTS) == []
    control = table("control", "X", "X.", "models", ("model",), ((TOKENS, TOKENS_FORMAT),))
    assert sums_of_tokens([control]) == ["control"]


def test_a_chart_in_a_trap_is_found() -> None:
    same = {"expressionType": "SQL", "sqlExpression": "day", "label": "day"}
    options = {"x_axis": same, "tooltipTimeFormat": "%H:%M"}
    bad = Chart("bad", "Bad", "no full stop", "usage_events", TIMESERIES[1], 12, 10, series=(same,), options=options)
    assert len(faults([bad, bad])) == 2 * 6 + 1


def test_money_is_never_added_across_currencies() -> None:
    """Each chart of money makes a group of every currency or is of one alone; a tile would add them."""

    def separates(chart: Chart) -> bool:
        grouped = "currency" in chart.columns or any(one["sqlExpression"] == "currency" for one in chart.series)
        return grouped or any(where.column in ("currency", "is_main") for where in chart.where)

    charts = [chart for chart in CHARTS if chart.view == "money"]
    assert charts
    assert all(separates(chart) for chart in charts)
    assert not any(chart.options.get("stack") for chart in charts)
    adds = over_time("x", "X", "X.", "money", (TOKENS,), "day", by="model", top=9)
    assert not separates(adds), "the control"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_every_position_carries_id_and_uuid_and_no_row_is_too_wide(board: Board) -> None:
    ids = {chart.key: number for number, chart in enumerate(board.charts, 10)}
    placed = layout.positions(board, ids)
    charts = [node for node in placed.values() if isinstance(node, dict) and node["type"] == "CHART"]
    assert {node["meta"]["chartId"] for node in charts} == set(ids.values())
    assert {node["meta"]["uuid"] for node in charts} == {chart.uuid for chart in board.charts}
    for tab in board.tabs:
        assert all(sum(chart.width for chart in row) <= layout.COLUMNS for row in layout.rows(tab.charts))
    for node in charts:  # what a parent lists and what a child says of its parents must agree
        assert [node["id"] in placed[node["parents"][-1]]["children"], node["parents"][0]] == [True, "ROOT_ID"]


def small_board(**more: Any) -> Board:
    by_day = over_time("by-day", "By day", "X.", "models", (TOKENS,), "day", time=("day", "No filter"))
    fixed = over_time("fixed", "Fixed", "X.", "apps", (CALLS,), "day")
    return Board("small", "Small", (Tab("One", (by_day,)), Tab("Two", (fixed,))), **more)


def test_a_filter_reaches_the_charts_whose_view_has_its_column_and_no_other() -> None:
    board = small_board(
        filters=(TimeFilter("Time", "Last week"), Filter("Model", "models", "model"), Filter("App", "apps", "app"))
    )
    columns = {"models": {"day", "model"}, "apps": {"day", "model", "app"}}
    made = native_filters(board, {"by-day": 1, "fixed": 2}, {"models": 7, "apps": 8}, columns)
    assert [(one["chartsInScope"], one["scope"]["excluded"]) for one in made] == [([1], [2]), ([1, 2], []), ([2], [1])]
    assert made[1]["targets"] == [{"datasetId": 7, "column": {"name": "model"}}]
    assert made[0]["defaultDataMask"]["extraFormData"] == {"time_range": "Last week"}


def test_one_tab_is_no_tab_and_a_note_stands_above() -> None:
    board = small_board(note="*Simulated.*")
    one = Board(board.slug, board.title, (Tab("All", board.charts),), note="*Simulated.*")
    ids = {"by-day": 1, "fixed": 2}
    assert layout.positions(board, ids)["GRID_ID"]["children"] == ["ROW-note", "TABS-0"]
    assert layout.positions(one, ids)["GRID_ID"]["children"] == ["ROW-note", "ROW-0-0"]


def test_a_users_copy_of_our_chart_is_the_users() -> None:
    chart = CHARTS[0]
    there = {"uuid": chart.uuid, "params": json.dumps(chart.form(1, LAYERS))}
    assert is_ours(there)
    assert not is_ours({**there, "uuid": "0b0e2f0e-0000-4000-8000-000000000000"}), "saved as another chart"
    assert not is_ours({**there, "params": None})
    assert not is_ours({**there, "params": json.dumps({OURS: "another-key"})})


def test_an_author_has_one_colour_and_its_models_tints_of_it() -> None:
    made = label_colors([("openai/gpt-4o", "openai"), ("house/llm", "house")])
    assert made["openai"] == AUTHORS["openai"]
    assert made == label_colors([("house/llm", "house"), ("openai/gpt-4o", "openai")])
    assert model_color("openai/gpt-4o", "openai") != model_color("openai/gpt-4o", "google")
    assert len({AUTHORS[name] for name in AUTHORS}) == len(AUTHORS)
    assert all(len(color) == 7 and color.startswith("#") for color in made.values())


def test_a_chart_that_draws_events_names_a_layer_of_its_board() -> None:
    for board in BOARDS:
        named = {chart.annotations for chart in board.charts if chart.annotations}
        assert named <= {layer.name for layer in board.layers}
    spans = [(one.start, one.end) for one in MARKET_WEEKS.annotations]
    assert spans == sorted(spans) and all(start < end for start, end in spans)
    assert isinstance(MARKET_WEEKS, Layer)


def test_the_forms_axis_is_labelled_otherwise_than_its_column() -> None:
    assert axis("day")["label"] != "day"


def test_a_password_with_any_character_survives_the_uri() -> None:
    uri = Database("https://ch.example:8443", "boards", "p@ss/w:rd").uri()
    assert uri == "clickhousedb://boards:p%40ss%2Fw%3Ard@ch.example:8443/boards?secure=true"
    with pytest.raises(Misconfigured, match="no ClickHouse URL"):
        Database("ftp://x", "a", "b").uri()
