"""A simulated market in the real ClickHouse engine: the boards give what was published, and nothing else sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client
from typer.testing import CliRunner

from support.clickhouse import migrated
from support.market_rows import calls, lines
from support.published import MARKUP, PRICES, differences
from tokenmeter.cli import simulate as cli_simulate
from tokenmeter.events.errors import Misconfigured
from tokenmeter.flow.load.tables import TABLES as LOADED
from tokenmeter.stack.simulate import store
from tokenmeter.stack.simulate.calls import CALLS
from tokenmeter.stack.simulate.lines import Span
from tokenmeter.stack.simulate.market import Market, market
from tokenmeter.store.client import connect
from tokenmeter.store.derived import digests, drop_derived, tables
from tokenmeter.store.migrate import migrate

SPAN = Span(date(2026, 2, 1), datetime(2026, 7, 15, tzinfo=UTC))
WEEKS = [date(2026, month, day) for month, day in [(2, 2), (2, 9), (2, 16), (3, 16), (4, 6), (4, 13), (4, 20), (5, 4)]]
"""Of which something was published, but for 2025's: they are enough to put."""
METERED = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
LOADED_TABLES = {table for _, table in LOADED.values()}


@pytest.fixture(scope="module")
def made() -> Market:
    whole = market(SPAN, seed=3)
    days = pl.col("occurred_hour").dt.date()
    return Market(whole.lines.filter((days - pl.duration(days=days.dt.weekday() - 1)).is_in(WEEKS)), whole.calls)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, made: Market) -> Iterator[Client]:
    """A store with a metered line and a metered call, and the simulated market beside them."""
    with migrated(tmp_path_factory.mktemp("simulate")) as server:
        client = connect(server.url, "writer", "secret")
        lines(client, 0, [{"occurred_hour": METERED, "input_tokens": 5, "model": "mine/model", "app_id": None}])
        calls(client, [{"event_id": "mine", "occurred_at": METERED, "appended_at": datetime.now(UTC), "offset": 1}])
        store.put(client, made)
        yield client


def test_every_published_figure_of_a_week_is_met_to_the_token(client: Client) -> None:
    assert differences(client) == []


def test_a_token_too_many_is_seen(client: Client) -> None:
    week = "occurred_hour = toDateTime('2026-02-11 00:00:00', 'UTC')"
    model = "SELECT min(model) FROM simulated.market_hourly WHERE model LIKE 'deepseek/%'"
    client.command(
        "INSERT INTO simulated.market_daily "
        "SELECT * REPLACE (input_tokens + 1 AS input_tokens, version + 1 AS version) "
        f"FROM simulated.market_daily FINAL WHERE day = '2026-02-11' AND model = ({model} AND {week}) LIMIT 1"
    )
    assert len(differences(client)) == 1
    store.Totals(client, store.DATABASE).make("usage_market", int(datetime(2026, 2, 11, tzinfo=UTC).timestamp()), [0])
    assert differences(client) == [], "made of its lines again the day is right again"


def test_prices_are_those_published_and_the_router_takes_its_part(client: Client) -> None:
    columns = "sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(cost), sum(charge), count()"
    for model, (price_in, price_out) in PRICES.items():
        sql = f"SELECT {columns} FROM simulated.usage_market WHERE model = '{model}'"
        given, cached, made, cost, charge, count = client.query(sql).result_rows[0]
        of_cache = cost - (Decimal(price_in) * (given - cached) + Decimal(price_out) * made) / 10**6
        assert 0 <= of_cache <= Decimal(price_in) * cached / 10**6, "read from a cache is no dearer than read anew"
        assert abs(charge - cost * (1 + MARKUP)) <= count * Decimal("1e-12")


def test_the_totals_are_those_a_loader_makes_of_the_lines(client: Client) -> None:
    figures = "sum(events), sum(input_tokens), sum(output_tokens), sum(latency_sum_ms), sum(charge), sum(cost)"
    of_lines = f"SELECT toDate(occurred_hour) AS day, {figures} FROM simulated.usage_market GROUP BY day ORDER BY day"
    wanted = client.query(of_lines).result_rows
    assert len(wanted) == 7 * len(WEEKS)
    for table, day in (("market_hourly", "toDate(occurred_hour)"), ("market_daily", "day"), ("app_daily", "day")):
        sql = f"SELECT {day} AS day, {figures} FROM simulated.{table} FINAL GROUP BY day ORDER BY day"
        assert client.query(sql).result_rows == wanted
    assert client.query("SELECT sum(calls) FROM simulated.calls_by_minute FINAL").result_rows == [(CALLS,)]


def test_the_command_refuses_a_store_that_meters_and_says_the_way_out(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = store.simulated_rows(client)
    monkeypatch.setenv("TOKENMETER_CLICKHOUSE_URL", client.url)
    monkeypatch.setenv("TOKENMETER_CLICKHOUSE_USER", "writer")
    monkeypatch.setenv("TOKENMETER_CLICKHOUSE_PASSWORD", "secret")
    refused = CliRunner().invoke(cli_simulate.app, ["market", "--data", str(tmp_path)])
    assert isinstance(refused.exception, Misconfigured)
    assert "2 rows of metered usage" in str(refused.exception)
    assert "--beside" in str(refused.exception)
    assert store.simulated_rows(client) == before


def test_removing_it_takes_all_of_it_and_nothing_else(client: Client, made: Market) -> None:
    before = digests(client, LOADED_TABLES)
    assert before["tokenmeter", "usage_market"][0] == before["tokenmeter", "usage_events"][0] == 1
    seen = "SELECT sum(tokens), count() FROM boards.models WHERE model = 'mine/model'"
    assert client.query(seen).result_rows == [(5, 1)]
    assert client.query("SELECT * FROM boards.simulation").result_rows == [(made.lines.height, made.calls.height)]
    assert store.metered_rows(client) == 2
    assert store.remove(client) == made.lines.height + made.calls.height
    assert set(store.simulated_rows(client).values()) == {0}
    assert client.query("SELECT * FROM boards.simulation").result_rows == [(0, 0)]
    assert digests(client, LOADED_TABLES) == before
    assert client.query("SELECT sum(tokens), count() FROM boards.models").result_rows == [(5, 1)]
    assert store.remove(client) == 0, "twice is once"


def test_a_simulated_table_has_the_columns_of_the_metered_one(client: Client) -> None:
    sql = "SELECT table, groupArray((name, type)) FROM system.columns WHERE database = {d:String} GROUP BY table"
    there = {db: dict(client.query(sql, parameters={"d": db}).result_rows) for db in ("tokenmeter", store.DATABASE)}  # type: ignore[arg-type]
    for table in store.TABLES:
        assert there[store.DATABASE][table] == there["tokenmeter"][table]
        shown = [
            (name, kind) for name, kind in there["tokenmeter"][table] if (table, name) != ("usage_events", "version")
        ]
        assert there[store.DATABASE][f"shown_{table}"] == shown


def test_a_rebuild_leaves_what_is_simulated_alone(client: Client) -> None:
    assert {database for database, _ in tables(LOADED_TABLES)} == {"tokenmeter"}
    client.command("INSERT INTO simulated.usage_market (occurred_hour, model) VALUES ('2026-03-02 00:00:00', 'a/b')")
    before = store.simulated_rows(client)
    assert before["usage_market"]
    dropped = drop_derived(client, LOADED_TABLES)
    assert (store.DATABASE, "shown_usage_market") in dropped, "a view is derived"
    assert not any((store.DATABASE, table) in dropped for table in store.TABLES)
    migrate(client)
    assert store.simulated_rows(client) == before
