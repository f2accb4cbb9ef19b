"""The board in a real Superset over the real ClickHouse engine: published twice, every chart answers exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.clickhouse import Server
from support.superset import api, shared_node
from tokenmeter.boards import Database, publish
from tokenmeter.boards.market import CHARTS, SLUG
from tokenmeter.boards.rest import Rest
from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

MODELS = [f"author{number % 11}/model-{number:02d}" for number in range(12)]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def tokens_of(number: int) -> int:
    """The n-th model's tokens: beyond what a JavaScript number holds for the first."""
    return 2**53 + 1 if number == 0 else 1_000 * (20 - number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("boards"))
    server.start()
    try:
        client = connect(server.url, "writer", "secret")
        migrate(client)
        lines = [
            [0, number, 0, model, "p", NOW - timedelta(days=1), 10, number % 3, tokens_of(number) - 1, 1]
            for number, model in enumerate(MODELS)
        ]
        names = ["partition", "first_offset", "line", "model", "provider", "occurred_hour", "events", "errors"]
        client.insert("tokenmeter.usage_market", lines, column_names=[*names, "input_tokens", "output_tokens"])
        rows = [[f"e{n}", "c", NOW - timedelta(hours=2), NOW, 500 if n < 3 else 200, n, "a/b"] for n in range(20)]
        names = ["event_id", "customer_id", "occurred_at", "appended_at", "status", "offset", "model"]
        client.insert("tokenmeter.usage_events", rows, column_names=names)
        names = ["run_id", "finished_at", "applied", "wrong_input_tokens", "wrong_output_tokens", "corrections"]
        client.insert("tokenmeter.reconcile_runs", [["r1", NOW, True, 2**53 + 1, 2, 3]], column_names=names)
        yield server
    finally:
        server.child.kill()


def database(server: Server) -> Database:
    return Database(server.url, "reader", "look")


def objects(rest: Rest) -> dict[str, list[int]]:
    return {kind: sorted(one["id"] for one in rest.all(kind)) for kind in ("database", "dataset", "chart", "dashboard")}


def test_publishing_twice_changes_nothing_and_what_left_the_code_leaves_superset(server: Server) -> None:
    node = shared_node()
    first = publish(node.url, node.user, node.password, database(server))
    with Rest(node.url, node.user, node.password) as rest:
        before = objects(rest)
        board = rest.get(f"dashboard/{SLUG}")["result"]["id"]
        dataset = rest.all("dataset")[0]["id"]
        rest.post(
            "chart/",
            {
                "slice_name": "Old",
                "viz_type": "table",
                "datasource_id": dataset,
                "datasource_type": "table",
                "params": "{}",
            }
            | {"dashboards": [board]},
        )
        assert objects(rest) != before
        assert publish(node.url, node.user, node.password, database(server)).rows == first.rows
        assert objects(rest) == before
    assert first.rows == {
        **dict.fromkeys(("tokens", "calls", "error-rate", "models"), 1),
        "tokens-by-day": 10,
        "author-share": 10,
        "calls-by-minute": 1,
        "leaderboard": 12,
        "reconcile": 1,
    }


def test_the_charts_answer_what_was_stored(server: Server) -> None:
    node = shared_node()
    publish(node.url, node.user, node.password, database(server))
    with Rest(node.url, node.user, node.password) as rest:
        datasets = {one["table_name"]: one["id"] for one in rest.all("dataset")}
    with api(node) as client:
        answers = {}
        for chart in CHARTS:
            answer = client.post("/chart/data", json=chart.query(datasets[chart.view])).raise_for_status()
            # Not as JavaScript would read it: Python's integers are exact.
            answers[chart.key] = json.loads(answer.text)["result"][0]["data"]
    total = sum(tokens_of(number) for number in range(len(MODELS)))
    assert answers["tokens"] == [{"Tokens": total}]
    assert answers["calls"] == [{"Calls": 120}]
    by_series = {row["series"]: row["Tokens"] for row in answers["tokens-by-day"]}
    assert by_series["Others"] == sum(tokens_of(number) for number in range(9, 12))
    assert by_series[MODELS[0]] == tokens_of(0)
    assert [row["model"] for row in answers["leaderboard"]] == MODELS
    assert [(row["Calls"], row["Errors"]) for row in answers["calls-by-minute"]] == [(20, 3)]
    assert [(row["mode"], row["wrong_tokens"]) for row in answers["reconcile"]] == [("corrected", 2**53 + 3)]


def test_a_wrong_password_or_address_is_one_clear_error(server: Server, tmp_path: Path) -> None:
    node = shared_node()
    with pytest.raises(Misconfigured, match="wrong name or password"):
        publish(node.url, node.user, "guess", database(server))
    with pytest.raises(Misconfigured, match="does not answer"):
        publish("http://127.0.0.1:1", node.user, node.password, database(server))
