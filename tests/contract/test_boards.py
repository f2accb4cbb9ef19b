"""The boards in a real Superset over the real ClickHouse engine: published twice, every chart answers exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.board_rows import BAND_BEGINS, LARGEST, MODELS, NOW, fill, tokens_of
from support.clickhouse import Server, migrated
from support.superset import api, shared_node
from tokenmeter.boards import BOARDS, Board, Database, publish
from tokenmeter.boards.board import Filter, Tab, TimeFilter
from tokenmeter.boards.chart import Chart
from tokenmeter.boards.forms import over_time
from tokenmeter.boards.metrics import TOKENS, formula, readable
from tokenmeter.boards.rest import Rest
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.stack.simulate.store import remove
from tokenmeter.store.client import connect

CHARTS = {chart.key: chart for board in BOARDS for chart in board.charts}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with migrated(tmp_path_factory.mktemp("boards")) as server:
        client = connect(server.url, "writer", "secret")
        fill(client)
        yield server


def database(server: Server) -> Database:
    return Database(server.url, "reader", "look")


def put(server: Server, boards: tuple[Board, ...] = BOARDS) -> dict[str, int]:
    """Publish; rows of each chart's answer."""
    node = shared_node()
    return publish(node.url, node.user, node.password, database(server), boards=boards).rows


KINDS = ("database", "dataset", "chart", "dashboard", "annotation_layer")


def ids(rest: Rest) -> dict[str, list[int]]:
    return {kind: sorted(one["id"] for one in rest.all(kind)) for kind in KINDS}


def named(rest: Rest, kind: str, field: str, value: str) -> dict[str, Any] | None:
    return next((one for one in rest.all(kind) if one[field] == value), None)


def answers(keys: tuple[str, ...] = tuple(CHARTS), **filters: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of each chart as Superset answers them; ``filters`` as the board's filters would add them."""
    node = shared_node()
    with Rest(node.url, node.user, node.password) as rest:
        datasets = {one["table_name"]: one["id"] for one in rest.all("dataset")}
    found = {}
    with api(node) as client:
        for key in keys:
            query = CHARTS[key].query(datasets[CHARTS[key].view])
            query["queries"][0]["filters"] += [{"col": c, "op": "IN", "val": [v]} for c, v in filters.items()]
            answer = client.post("/chart/data", json=query).raise_for_status()
            # Not as JavaScript would read it: Python's integers are exact.
            found[key] = json.loads(answer.text)["result"][0]["data"]
    return found


@pytest.fixture(scope="module")
def published(server: Server) -> dict[str, int]:
    """Every board, once for the tests that only look."""
    return put(server)


def test_publishing_twice_changes_nothing_and_every_chart_answers(server: Server, published: dict[str, int]) -> None:
    first = published
    node = shared_node()
    assert set(first) == set(CHARTS)
    with Rest(node.url, node.user, node.password) as rest:
        before = ids(rest)
        written = {one["id"]: one["changed_on_dttm"] for one in rest.all("chart")}
        assert put(server) == first
        assert ids(rest) == before
        assert {one["id"]: one["changed_on_dttm"] for one in rest.all("chart")} == written, "no chart is written again"


def test_the_charts_answer_what_was_stored(published: dict[str, int]) -> None:
    found = answers()
    total = sum(tokens_of(number) for number in range(len(MODELS)))
    assert found["tokens"] == [{"Tokens": total}]
    assert found["calls"] == found["outcome-calls"] == [{"Calls": 120}]
    assert (found["models"], found["authors"]) == ([{"Models": 12}], [{"Authors": 11}])
    by_model = {row["Model"]: row["Tokens"] for row in found["tokens-by-day"]}
    assert by_model["Others"] == sum(tokens_of(number) for number in range(9, 12))
    assert by_model[MODELS[0]] == tokens_of(0) and len(by_model) == 10
    assert sum(row["Tokens"] for row in found["author-share"]) == total
    for window in ("day", "week", "month"):
        board = found[f"leaderboard-{window}"]
        assert [row["model"] for row in board][:3] == MODELS[:3] or window == "day"
        shown = [(row["Tokens"].strip(), row["Tokens, exact"]) for row in board][:2]
        assert shown == [("9007.20T", LARGEST), ("19.00k", 19_000)] or window == "day"
    assert sum(row["Share"] for row in found["leaderboard-week"]) == pytest.approx(1)
    assert all(row["Change"] is None for row in found["leaderboard-week"]), "there was no week before"
    assert [row["model"] for row in found["ranking-yesterday"]] in (MODELS, [])
    assert {row["Origin"] for row in found["origin-share"]} == {"Unknown"}
    assert [row["app"] for row in found["apps-popular"]] == ["claw", "cline"]
    assert [row["app"] for row in found["apps-trending"]] == ["claw", "cline"]
    assert {row["App"] for row in found["app-share"]} == {"claw", "cline"}, "who names no app has a share but no line"
    assert sum(row["Share"] for row in found["app-share-named"]) == pytest.approx(1)
    claw = sum(tokens_of(number) for number in range(0, 12, 3))
    shares = {row["App"]: row["Share"] for row in found["app-share"]}
    assert shares["claw"] == pytest.approx(claw / total)
    spend = {row["Currency"]: float(row["Charge"]) for row in found["spend-by-day"]}
    assert spend == {"USD": 25.0, "EUR": 5.0}
    margins = {(row["model"], row["currency"]): float(row["Margin"]) for row in found["margin-by-model"]}
    assert margins == {**{(model, "USD"): 0.25 for model in MODELS[:10]}, (MODELS[10], "EUR"): 1.0}
    assert found["unpriced"] == [{"Unpriced": 10}]
    assert found["priced-share"] == [{"Priced": pytest.approx(110 / 120)}]
    assert {row["model"] for row in found["price-volume"]} == set(MODELS[:10]), "one currency in one picture"
    errors, limited = sum(n % 3 for n in range(12)), sum(n % 3 // 2 for n in range(12))
    assert found["error-rate"] == [{"Error rate": pytest.approx(errors / 120)}]
    assert found["rate-limited"] == [{"429 share": pytest.approx(limited / 120)}]
    assert found["uptime"] == [{"Uptime": pytest.approx((120 - errors) / (120 - limited))}]
    assert [(row["Calls"], row["Errors"], row["429"]) for row in found["calls-by-minute"]] == [(20, 3, 0)]
    (percentiles,) = ([row["p50"], row["p90"], row["p99"]] for row in found["latency-by-hour"])
    assert percentiles == pytest.approx([1000, 1800, 2000], rel=0.004), "of twenty the tenth, the 18th and the last"
    assert [(row["provider"], row["model"], row["Calls"]) for row in found["speed-table"]] == [("p0", "a/b", 20)]
    assert [(row["mode"], row["wrong_tokens"]) for row in found["reconcile"]] == [("corrected", 7)]
    assert found["event-age"][0]["Age"] > 0
    assert [(row["result"], row["pages"]) for row in found["audit"]] == [("agrees", 2)]
    assert found["audit-age"][0]["Age"] > 0
    assert [(row["Metered"], row["Repeated"], row["Quarantined"]) for row in found["pages"]] == [(20, 2, 2)]
    assert [row["Lag"] for row in found["lag"]] == [2000]
    assert found["quarantine"] == [{"reason": "late", "Events": 3}]
    assert [row["Calls with tools"] for row in found["tool-share"]] == [0.5]
    assert [row["Tool calls per call"] for row in found["tool-calls"]] == [0.5]
    assert found["alerts-open"] == [{"Alerts": 1}]
    assert [(row["alert"], row["kind"], row["subject"]) for row in found["alerts-open-list"]] == [
        ("1", "spike", "acme")
    ]
    assert {row["kind"]: row["Alerts"] for row in found["alerts-by-kind"]} == {"spike": 1, "burn": 1}
    assert banded(found["alert-band"]) == BANDED
    empty = [key for key, rows in found.items() if not rows]
    assert empty == ["leaderboard-day"], "all of it is 24 hours old"


def test_tokens_are_written_as_people_read_them_and_sort_as_numbers(server: Server) -> None:
    numbers = [-5_000, 0, 999, 1_000, 999_994, 999_995, 8_796_093_022_208, 2**53 + 1]
    sql = readable(formula("sum(number)", "n"))["sqlExpression"]
    statement = f"SELECT {sql} FROM (SELECT arrayJoin({numbers}) AS number) GROUP BY number ORDER BY number"
    written = [row[0] for row in connect(server.url, "reader", "look").query(statement).result_rows]
    read = [text.strip() for text in written]
    assert read == ["-5.00k", "0", "999", "1.00k", "999.99k", "1.00M", "8.80T", "9007.20T"]
    units = [len(text) - len(text.lstrip()) for text in written[1:]]
    assert units == sorted(units) and len(set(units)) == 4, "a browser sorts by text: more spaces are more"


BANDED = {
    "minutes": 120,
    "seen": {BAND_BEGINS + timedelta(minutes=1): 9.0},
    "hours": [(0.5, 2.0, 4.0), (1.0, 3.0, 5.0)],
}
"""The alert "1" of board_rows: its key's nine calls, and not those of the customer's other key."""


def banded(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the chart of an anomaly shows: how many minutes, those in which anything was seen, the band of each hour."""
    rows = sorted(rows, key=lambda row: row["Time"])
    minutes = [datetime.fromtimestamp(row["Time"] / 1000, UTC) for row in rows]
    bands = {at.hour: (row["Low"], row["Expected"], row["Spike above"]) for at, row in zip(minutes, rows, strict=True)}
    seen = {at: row["Seen"] for at, row in zip(minutes, rows, strict=True) if row["Seen"]}
    return {"minutes": len(rows), "seen": seen, "hours": [*bands.values()]}


def test_a_chosen_anomaly_is_shown_beside_its_own_band(server: Server, published: dict[str, int]) -> None:
    client = connect(server.url, "writer", "secret")
    asked = "SELECT anomaly, is_open FROM boards.anomalies"
    ((name, is_open),) = client.query(asked).result_rows
    assert (name, is_open) == (f"acme, k: calls, {NOW:%m-%d %H:%M} (1)", 1)
    assert banded(answers(("alert-band",), anomaly=name)["alert-band"]) == BANDED
    assert answers(("alert-band",), anomaly="another")["alert-band"] == []


def test_filters_change_what_they_reach_others_included(published: dict[str, int]) -> None:
    leaders = answers(("leaderboard-week",), provider="p0")["leaderboard-week"]
    assert [row["model"] for row in leaders] == [MODELS[number] for number in range(0, 12, 2)]
    of_author = answers(("tokens-by-day", "leaderboard-week", "margin-by-model"), author="author0")
    by_model = {row["Model"]: row["Tokens"] for row in of_author["tokens-by-day"]}
    assert by_model == {MODELS[0]: tokens_of(0), MODELS[11]: tokens_of(11)}, "two models need no Others"
    assert [row["model"] for row in of_author["margin-by-model"]] == [MODELS[0]], "the other has no price"
    one = answers(("tokens-by-day", "origin-tokens"), model=MODELS[11])
    assert [row["Tokens"] for rows in one.values() for row in rows] == [tokens_of(11)] * 2


def test_what_left_the_code_leaves_superset_and_what_users_made_stays(server: Server) -> None:
    kept, gone, third = small("kept", "hours"), small("gone", "app_shares"), small("third", "models")
    node = shared_node()
    put(server, (board("b", kept, gone), board("second", third)))
    with Rest(node.url, node.user, node.password) as rest:
        assert {one["slug"] for one in rest.all("dashboard")} == {"tokenmeter-b", "tokenmeter-second"}
        there = named(rest, "chart", "uuid", kept.uuid)
        assert there is not None
        copy = {name: there[name] for name in ("viz_type", "datasource_type", "datasource_id", "params")}
        on_board = rest.get("dashboard/tokenmeter-b")["result"]["id"]
        mine = rest.post("chart/", {**copy, "slice_name": "My copy", "dashboards": [on_board]})["id"]
        own_board = rest.post("dashboard/", {"dashboard_title": "Mine", "slug": "mine"})["id"]
        put(server, (board("b", third),))
        assert {one["slice_name"] for one in rest.all("chart")} == {"Chart third", "My copy"}
        assert {one["slug"] for one in rest.all("dashboard")} == {"tokenmeter-b", "mine"}
        views = {one["table_name"] for one in rest.all("dataset")}
        assert "hours" in views and "app_shares" not in views, "a user's chart keeps its dataset"
        rest.delete(f"chart/{mine}")
        rest.delete(f"dashboard/{own_board}")


def test_boards_say_that_rows_are_simulated_for_as_long_as_there_are_any(server: Server) -> None:
    node, client = shared_node(), connect(server.url, "writer", "secret")
    one = (board("s", small("simulated-or-not", "models")),)

    def shown() -> bool:
        put(server, one)
        with Rest(node.url, node.user, node.password) as rest:
            return "Simulated market" in rest.get("dashboard/tokenmeter-s")["result"]["position_json"]

    assert not shown()
    client.command("INSERT INTO simulated.usage_market (occurred_hour, model) VALUES ('2026-03-02 00:00:00', 'a/b')")
    assert shown()
    remove(client)
    assert not shown()


def test_an_edit_of_our_chart_is_taken_back_and_roles_are_named(server: Server) -> None:
    node = shared_node()
    chart = small("edited", "models")
    seen_by = Board("tokenmeter-r", "R", (Tab("All", (chart,)),), roles=("Gamma",))
    put(server, (seen_by,))
    with Rest(node.url, node.user, node.password) as rest:
        assert [role["name"] for role in rest.get("dashboard/tokenmeter-r")["result"]["roles"]] == ["Gamma"]
        first = named(rest, "chart", "uuid", chart.uuid)
        assert first is not None
        rest.put(f"chart/{first['id']}", {"slice_name": "Chart edited by hand"})
        put(server, (seen_by,))
        again = named(rest, "chart", "uuid", chart.uuid)
        assert again is not None and (again["id"], again["slice_name"]) == (first["id"], chart.title)
    with pytest.raises(Misconfigured, match="no role Nobody"):
        put(server, (Board(seen_by.slug, "R", seen_by.tabs, roles=("Nobody",)),))


def small(key: str, view: str) -> Chart:
    bucket = {"hours": "hour", "models": "day", "app_shares": "week"}[view]
    return over_time(key, f"Chart {key}", "Tokens.", view, (TOKENS,), bucket, time=(bucket, "No filter"))


def board(name: str, *charts: Chart) -> Board:
    filters = (TimeFilter("Time range", "No filter"), Filter("Model", "models", "model"))
    return Board(f"tokenmeter-{name}", f"Board {name}", (Tab("All", charts),), filters)


def test_a_wrong_password_or_address_or_view_is_one_clear_error(server: Server, tmp_path: Path) -> None:
    node = shared_node()
    with pytest.raises(Misconfigured, match="wrong name or password"):
        publish(node.url, node.user, "guess", database(server))
    with pytest.raises(Misconfigured, match="does not answer"):
        publish("http://127.0.0.1:1", node.user, node.password, database(server))
    lost = over_time("lost", "Lost", "Lost.", "no_such_view", (TOKENS,), "day")
    with pytest.raises(Fatal, match="no view boards"):
        put(server, (board("lost", lost),))
