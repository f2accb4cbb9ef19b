"""The board as code: what Superset would drop or answer wrongly is never written."""

from __future__ import annotations

from tokenmeter.boards import layout
from tokenmeter.boards.chart import Chart
from tokenmeter.boards.market import CHARTS
from tokenmeter.boards.publish import Database
from tokenmeter.store.migrate import bundled

VIEWS = {migration.name.split("_boards_")[1] for migration in bundled() if "_boards_" in migration.name}


def faults(charts: tuple[Chart, ...]) -> list[str]:
    """Traps of Superset that a board has walked into."""
    found = []
    for chart in charts:
        form = chart.form(1)
        axis = form.get("x_axis")
        if axis is not None and axis["label"] == axis["sqlExpression"]:
            found.append(f"{chart.key}: the time axis bears its column's name")
        if not chart.description.endswith("."):
            found.append(f"{chart.key}: no definition")
        if chart.view not in VIEWS:
            found.append(f"{chart.key}: no view {chart.view}")
    keys = [chart.key for chart in charts]
    found += ["a key is used twice"] if len(set(keys)) != len(keys) else []
    return found


def test_every_chart_keeps_clear_of_the_traps() -> None:
    assert faults(CHARTS) == []


def test_a_chart_in_a_trap_is_found() -> None:
    axis = {"expressionType": "SQL", "sqlExpression": "day", "label": "day"}
    bad = Chart("bad", "Bad", "no full stop", "usage_events", "line", 12, 10, options={"x_axis": axis})
    assert len(faults((bad, bad))) == 7


def test_every_position_carries_id_and_uuid_and_no_row_is_too_wide() -> None:
    ids = {chart.key: number for number, chart in enumerate(CHARTS, 10)}
    placed = layout.positions("Market", CHARTS, ids)
    charts = [node for node in placed.values() if isinstance(node, dict) and node["type"] == "CHART"]
    assert {node["meta"]["chartId"] for node in charts} == set(ids.values())
    assert {node["meta"]["uuid"] for node in charts} == {chart.uuid for chart in CHARTS}
    assert all(sum(chart.width for chart in row) <= layout.COLUMNS for row in layout.rows(CHARTS))


def test_a_password_with_any_character_survives_the_uri() -> None:
    uri = Database("https://ch.example:8443", "boards", "p@ss/w:rd").uri()
    assert uri == "clickhousedb://boards:p%40ss%2Fw%3Ard@ch.example:8443/boards?secure=true"
