"""Filters of the boards Market and Calls: each reaches the charts it should, and a filtered chart is exact.

What a chart must show under a filter is what the same chart shows, unfiltered, of a store that holds only the rows that
the filter lets through. The SQL is Superset's own; rows are of every combination of model, provider and app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from support.board_filters import REACHED, RUNNING
from support.clickhouse import migrated
from support.market_rows import calls, lines, money
from support.superset import api, shared_node
from tokenmeter.boards import Database, grains
from tokenmeter.boards.board import Board, Filter
from tokenmeter.boards.calls import CALLS
from tokenmeter.boards.chart import Chart
from tokenmeter.boards.datasets import put_database, put_datasets, view_columns
from tokenmeter.boards.filters import reaches
from tokenmeter.boards.market import MARKET
from tokenmeter.boards.rest import THREADS, Rest
from tokenmeter.stack.doctor.clickhouse import boards_user
from tokenmeter.store.client import connect
from tokenmeter.store.totals import TOTALS

BOARDS = (MARKET, CALLS)
Row = dict[str, Any]
Rows = list[tuple[Any, ...]]


def questions() -> Iterator[Chart]:
    """Of each view one question with every figure that its charts show, and its first chart of the largest and Others:
    a template looks at a question's columns and filters, never at its figures."""
    by_view: dict[str, list[Chart]] = {}
    for chart in (chart for board in BOARDS for chart in board.charts if chart.view not in RUNNING):
        by_view.setdefault(chart.view, []).append(chart)
    for charts in by_view.values():
        first = next((chart for chart in charts if chart.columns and not chart.top), charts[0])
        if len(charts) > 1:
            shown = {repr({**metric, "label": ""}): metric for chart in charts for metric in chart.metrics}
            figures = tuple({**metric, "label": f"figure {n}"} for n, metric in enumerate(shown.values()))
            first = replace(first, metrics=figures, having=None, top=0, order_by=())
        yield first
        yield from [chart for chart in charts if chart.top and chart.key != first.key][:1]


CHARTS = list(questions())
MODELS = [f"{author}/model{number}" for author, number in product(("author0", "o'hara"), range(2))]
"""A name with a quote, which no template may break on."""
PROVIDERS, APPS = ("p0", "p1"), ("claw", "cline", None)
CASES: Mapping[str, Mapping[str, str]] = {
    "model": {"model": MODELS[1]},
    "author": {"author": "o'hara"},
    "provider": {"provider": "p1"},
    "app": {"app": "cline"},
    "all four": {"model": MODELS[2], "author": "o'hara", "app": "claw", "provider": "p1"},
}
EXACT = ("provider", "app", "all four")
"""Each has other views; what all four let through is let through by each."""


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def monday(now: datetime) -> datetime:
    return (now - timedelta(days=now.weekday())).replace(hour=0)


def every_row(now: datetime) -> list[Row]:
    """Four hours: now, a day ago, this week's first, one of the week before. p1 and cline lack models."""
    times = (now, now - timedelta(days=1), monday(now), monday(now) - timedelta(days=5))
    rows = []
    for number, (at, model, provider, app) in enumerate(product(times, MODELS, PROVIDERS, APPS)):
        if (provider, model[:7]) == ("p1", "author0") or (app, model[:6]) == ("cline", "o'hara"):
            continue
        rows.append(
            {
                "occurred_hour": at,
                "model": model,
                "provider": provider,
                "app_id": app,
                "input_tokens": 1_000 + number**2,
            }
            | {"output_tokens": 100 + number, "events": 25 + number, "errors": number % 5, "rate_limited": number % 2}
            | {"tool_calls": number, "context_bucket": ["<1k", "1k-10k"][number % 2], "cached_input_tokens": number}
            | {"unpriced": number % 5, "uncosted": number % 7, "reasoning_tokens": number % 11}
            | {"latency_calls": 20, "latency_sum_ms": 900 * number, "generation_calls": 20, "streamed": number % 20}
            | {"generation_sum_ms": 50_000, "generation_tokens": 300 + number}
            | money("USD", f"{2 + number}.5", "USD", f"{1 + number}.25")
        )
    return rows


def call(row: Row) -> Row:
    """A raw event beside a line, the same one whichever other lines there are."""
    number = row["generation_tokens"] - 300
    shape = {"latency_ms": 100 + number, "duration_ms": 9_000 + number, "status": 200 if number % 7 else 429}
    shape |= {
        name: row[name] for name in ("model", "provider", "app_id", "input_tokens", "output_tokens", "tool_calls")
    }
    at = row["occurred_hour"]
    return {
        "event_id": f"e{number}",
        "offset": number,
        "occurred_at": at,
        "appended_at": at,
        "error_class": None,
        **shape,
    }


def keeps(row: Row, chosen: Mapping[str, str]) -> bool:
    seen = {"model": row["model"], "author": row["model"].split("/")[0], "provider": row["provider"]}
    seen["app"] = row["app_id"] or "no app"
    return all(seen[name] == value for name, value in chosen.items())


def fill(client: Client, rows: list[Row]) -> None:
    for table in ("usage_market", "usage_events", *TOTALS):
        client.command(f"TRUNCATE TABLE tokenmeter.{table}")
    lines(client, 0, rows)
    calls(client, map(call, rows))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with migrated(tmp_path_factory.mktemp("filters")) as server:
        client = connect(server.url, "writer", "secret")
        fill(client, every_row(this_hour()))
        node = shared_node()
        with Rest(node.url, node.user, node.password) as rest:  # datasets alone: the questions are asked of them
            database = put_database(rest, Database(server.url, "reader", "look"))
            put_datasets(rest, database, {chart.view for chart in CHARTS}, view_columns(rest, database))
        yield client


Change = Callable[[Chart, dict[str, Any]], None]


def statements(change: Change = lambda chart, query: None) -> dict[str, str]:
    """Superset's SQL of each chart, its question changed as the board's filters would."""
    with api(shared_node()) as http:
        listed = http.get("/dataset/?q=(page_size:100)").raise_for_status().json()["result"]
        datasets = {one["table_name"]: one["id"] for one in listed}

        def asked(chart: Chart) -> str:
            body = {**chart.query(datasets[chart.view]), "result_type": "query"}
            change(chart, body["queries"][0])
            result = http.post("/chart/data", json=body).raise_for_status().json()["result"][0]
            assert not result.get("error"), (chart.key, result)
            return str(result["query"])

        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip((chart.key for chart in CHARTS), pool.map(asked, CHARTS), strict=True))


def chosen(values: Mapping[str, str]) -> Change:
    def change(chart: Chart, query: dict[str, Any]) -> None:
        query["filters"] += [
            {"col": name, "op": "IN", "val": [value]} for name, value in values.items() if name in REACHED[chart.view]
        ]

    return change


def answer(client: Client, statement: str) -> Rows:
    """Rows in one order, floats to the nine digits that a sum's order cannot change."""
    shown = [
        tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row)
        for row in client.query(statement.rstrip().rstrip(";")).result_rows
    ]
    return sorted(shown, key=repr)


def answers(client: Client, asked: Mapping[str, str]) -> dict[str, Rows]:
    return {key: answer(client, statement) for key, statement in asked.items()}


def columns(client: Client) -> dict[str, set[str]]:
    """Of each dataset, as the publisher knows them."""
    found: dict[str, dict[str, str]] = {}
    for view, name in client.query("SELECT table, name FROM system.columns WHERE database = 'boards'").result_rows:
        found.setdefault(str(view), {})[str(name)] = ""
    return {view: set(grains.columns(view, found)) for view in found}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_a_filter_reaches_the_charts_it_makes_sense_for_and_no_other(client: Client, board: Board) -> None:
    known = columns(client)
    for chart in board.charts:
        found = {one.column for one in board.filters if isinstance(one, Filter) and reaches(one, chart, known)}
        assert found == REACHED[chart.view], chart.key


def test_a_filtered_chart_is_the_chart_of_the_rows_that_pass(client: Client) -> None:
    for attempt in range(2):
        now = this_hour()
        rows = every_row(now)
        fill(client, rows)
        plain = statements()
        whole = answers(client, plain)
        filtered = {case: answers(client, statements(chosen(values))) for case, values in CASES.items()}
        wanted = {}
        for case, values in CASES.items():
            if case not in EXACT:
                continue
            fill(client, [row for row in rows if keeps(row, values)])
            wanted[case] = answers(client, plain)
        if this_hour() == now or attempt:
            break  # windows of the leaderboards end with the hour
    for case, values in CASES.items():
        for chart in CHARTS:
            reached, shown = REACHED[chart.view] & set(values), filtered[case][chart.key]
            assert (shown != whole[chart.key]) == bool(reached), (case, chart.key, "changes or not")
            of_all = chart.view == "rankings" or (chart.view == "app_shares" and "app" in values)
            if case in EXACT and reached == set(values) and not of_all:  # else its shares stay those of all
                assert shown == wanted[case][chart.key], (case, chart.key)


def test_the_time_range_reaches_every_chart_with_a_time_column(client: Client) -> None:
    now = this_hour()
    rows = every_row(now)
    since = f"{monday(now):%Y-%m-%d} : {now + timedelta(days=1):%Y-%m-%d}"

    def change(chart: Chart, query: dict[str, Any]) -> None:
        for one in query["filters"]:
            if one["op"] == "TEMPORAL_RANGE":
                one["val"] = since

    fill(client, rows)
    plain, ranged = statements(), statements(change)
    found = answers(client, ranged)
    fill(client, [row for row in rows if row["occurred_hour"] >= monday(now)])
    wanted = answers(client, plain)
    timed = [chart for chart in CHARTS if chart.time_column]
    assert len(timed) > 8
    for chart in timed:
        assert found[chart.key] == wanted[chart.key], chart.key


def test_charts_are_the_same_wherever_server_and_reader_stand(client: Client, tmp_path: Path) -> None:
    """S01. Superset always runs in UTC, since its "now" is local time, and so do the sessions of the boards' user: the
    ends of a range have no zone. `tokenmeter doctor` looks at that."""
    with migrated(tmp_path, env={"TZ": "America/New_York"}) as server:
        there = connect(server.url, "writer", "secret")
        abroad = connect(server.url, "writer", "secret", session_timezone="Europe/Moscow")
        for attempt in range(2):
            now = this_hour()
            for one in (client, there):
                fill(one, every_row(now))
            asked = statements()
            here, found, shifted = (answers(one, asked) for one in (client, there, abroad))
            if this_hour() == now or attempt:
                break  # windows of the leaderboards end with the hour
        assert boards_user(abroad).ok is False
        assert "shifted" in boards_user(abroad).said
    assert [key for key in asked if not here[key]] == []
    for key in asked:
        assert found[key] == here[key], key
    assert shifted != here, "the control: in Moscow the last three hours are cut off"


def test_an_unfiltered_chart_reads_the_smallest_view(client: Client) -> None:
    plain = statements()
    for chart in CHARTS:
        assert f"boards.{chart.view}\n" in plain[chart.key] or f"`{chart.view}`" in plain[chart.key], chart.key
    wide = statements(chosen({"app": "claw", "provider": "p1"}))
    assert "boards.models_by_app_and_provider\n" in wide["tokens-by-day"], "the control"
