"""Totals are absolute: whatever was loaded twice, late, at once or killed in between, totals = recount.

Each claim is held against ``wrong_totals``, which counts the rows again; the controls show that it sees a stale row, a
lost one and a remake that came too late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client

from support.clickhouse import Server, migrated
from support.lines import INSERTS, all_buckets, load, statement
from support.recount import wrong_totals
from tokenmeter.flow.load.app import DATABASE, Store
from tokenmeter.flow.load.totals import Remaker
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import bundled, migrate
from tokenmeter.store.statement import sql
from tokenmeter.store.totals import SOURCES, TOTALS, Totals, days

BEFORE_THE_CUT = "0020"
VIEWS = ("boards", "billing")
"""The databases that README points readers to."""
AGES = ("event_age_ms", "page_age_ms", "reconcile_age_ms", "audit_age_ms")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with migrated(tmp_path_factory.mktemp("totals")) as server:
        yield server


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Client]:
    """A server without our databases."""
    server = Server(tmp_path)
    server.start()
    try:
        yield connect(server.url, "writer", "secret")
    finally:
        server.child.kill()


@pytest.fixture
def client(server: Server) -> Client:
    """A migrated store without a row; what the migrations themselves put in, is there."""
    client = connect(server.url, "writer", "secret")
    for table in (*INSERTS, *TOTALS, "totals_due"):
        client.command(f"TRUNCATE TABLE tokenmeter.{table}")
    return client


def make_due(client: Client) -> None:
    """What the loader does with all that is due."""
    totals = Totals(client)
    pending = totals.pending()
    for source in SOURCES:
        for day, buckets in days(bucket for name, bucket in pending if name == source):
            totals.remake(source, day, buckets)
    assert totals.pending() == {}


def touch_and_make(client: Client) -> None:
    Totals(client).touch(all_buckets(client))
    make_due(client)


def contents(client: Client) -> dict[str, list[str]]:
    """What every view of VIEWS shows, but for ages, which grow while one looks. FINAL changes nothing."""
    columns: dict[str, list[str]] = {}
    for view, column, kind in client.query(
        "SELECT concat(database, '.', table), name, type FROM system.columns "
        "WHERE has({found:Array(String)}, database) ORDER BY database, table, position",
        parameters={"found": list(VIEWS)},
    ).result_rows:
        read = f"finalizeAggregation(`{column}`)" if str(kind).startswith("AggregateFunction") else f"`{column}`"
        columns.setdefault(str(view), []).extend([] if str(column) in AGES else [read])
    shown = {view: ", ".join(names) for view, names in columns.items() if names}
    asked = {view: f"SELECT {names} FROM {view}" for view, names in shown.items()}
    return {
        f"{view} {final}": sorted(map(str, client.query(f"{statement} {final}").result_rows))
        for view, statement in asked.items()
        for final in (("", "FINAL") if view.startswith("billing") else ("",))
    }


def test_an_old_store_moves_over_and_keeps_every_row(bare: Client) -> None:
    client = bare
    migrate(client, [m for m in bundled() if m.name < BEFORE_THE_CUT])
    load(client)
    client.command(
        "ALTER TABLE tokenmeter.usage_billing UPDATE chain = 'a>b' WHERE line % 2 = 0 SETTINGS mutations_sync = 2"
    )
    before = {
        table: client.query(f"SELECT * FROM tokenmeter.{table} FINAL ORDER BY ALL").result_rows for table in INSERTS
    }
    assert all(before.values())
    said: list[str] = []
    migrate(client, say=said.append)
    assert [line for line in said if "usage_events_copy: copying 600 rows, about" in line], said
    after = {
        table: client.query(f"SELECT * FROM tokenmeter.{table} FINAL ORDER BY ALL").result_rows for table in INSERTS
    }
    assert after == before
    keys = client.query(
        "SELECT name, partition_key FROM system.tables WHERE database = 'tokenmeter' AND partition_key != ''"
    )
    assert {"usage_events": "toYYYYMMDD(occurred_at)", "usage_market": "toYYYYMM(occurred_hour)"}.items() <= dict(
        keys.result_rows  # type: ignore[arg-type]
    ).items()
    make_due(client)
    assert wrong_totals(client) == [], "and the totals of what it held are made"


def test_a_move_killed_after_any_statement_is_resumed(bare: Client) -> None:
    """Each statement ran and was not noted: the worst place for a kill."""
    client = bare
    migrate(client, [m for m in bundled() if m.name < BEFORE_THE_CUT])
    load(client)
    before = {
        table: client.query(f"SELECT * FROM tokenmeter.{table} FINAL ORDER BY ALL").result_rows for table in INSERTS
    }
    moving = [m for m in bundled() if BEFORE_THE_CUT <= m.name < "0036"]
    assert len(moving) == 16
    for killed in moving:
        client.command(killed.statement)
        assert migrate(client, [m for m in bundled() if m.name <= killed.name]) == [killed.name]
    migrate(client)
    after = {
        table: client.query(f"SELECT * FROM tokenmeter.{table} FINAL ORDER BY ALL").result_rows for table in INSERTS
    }
    assert after == before


def test_totals_are_a_recount_whatever_comes_twice_or_late_or_is_taken_back(client: Client) -> None:
    load(client)
    touch_and_make(client)
    assert wrong_totals(client) == []
    load(client)
    load(client, partition=1)
    client.command(
        "INSERT INTO tokenmeter.usage_market SELECT * REPLACE (9 AS partition, -events AS events, -input_tokens AS "
        "input_tokens, -charge AS charge) FROM tokenmeter.usage_market FINAL WHERE model = 'author-0/model-0'"
    )
    assert wrong_totals(client), "control: the check sees rows that no total has yet"
    touch_and_make(client)
    assert wrong_totals(client) == []


def test_a_group_without_rows_any_more_vanishes(client: Client) -> None:
    load(client)
    touch_and_make(client)
    buckets = all_buckets(client)
    for table in SOURCES:
        client.command(
            f"ALTER TABLE tokenmeter.{table} DELETE WHERE model = 'author-1/model-1' SETTINGS mutations_sync = 2"
        )
    found = wrong_totals(client)
    assert any("author-1/model-1" in one for one in found), "control: the check sees the stale rows"
    Totals(client).touch(buckets)
    make_due(client)
    assert wrong_totals(client) == []


def test_of_two_remakes_at_once_the_later_counts_and_has_seen_both(client: Client) -> None:
    """The first takes a version and reads; the second inserts, reads and writes; then the first writes what it read."""
    load(client)
    touch_and_make(client)
    early = int(client.query(sql("next_version")).result_rows[0][0])
    read = {
        table: client.query(f"SELECT * FROM tokenmeter.{table} FINAL") for table in TOTALS if "calls_by" not in table
    }
    load(client, partition=1)
    touch_and_make(client)

    def write_late(version: int) -> None:
        for table, was in read.items():
            rows = [(*row[:-2], version, 0) for row in was.result_rows]
            client.insert(f"tokenmeter.{table}", rows, column_names=was.column_names)

    write_late(early)
    assert wrong_totals(client) == []
    write_late(int(client.query(sql("next_version")).result_rows[0][0]))
    assert wrong_totals(client), "control: a version taken after reading would let the stale one win"


def test_what_arrived_during_a_remake_is_still_due(client: Client) -> None:
    load(client)
    buckets = all_buckets(client)
    totals = Totals(client)
    totals.touch(buckets)
    pending = totals.pending()
    assert set(pending) == set(buckets)
    assert all(0 <= age_s < 60 for age_s in pending.values())
    version = totals._version()
    totals.touch(buckets[:1])
    for source in SOURCES:
        totals._note([(source, bucket, 0, version) for name, bucket in buckets if name == source])
    assert set(totals.pending()) == set(buckets[:1])


def test_a_loader_killed_before_it_made_totals_leaves_them_to_the_next_one(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loader() -> tuple[Store, Remaker]:
        def reach() -> Client:
            return connect(server.url, "writer", "secret", database=DATABASE)

        remaker = Remaker(lambda: Totals(reach()), pytest.fail)
        return Store(reach, remaker, lambda client: None), remaker

    def left_by_a_killed_one() -> list[str]:
        load(client)
        pages = {
            table: [pl.DataFrame(client.query_arrow(f"SELECT * FROM tokenmeter.{table}")) for _ in range(2)]
            for table in INSERTS
        }
        loader()[0].write(pages)
        _, next_one = loader()
        next_one.look(Totals(client))
        while next_one.health()["totals_due"]:
            next_one.make(Totals(client))
        return wrong_totals(client)

    assert left_by_a_killed_one() == []
    for table in (*INSERTS, *TOTALS, "totals_due"):
        client.command(f"TRUNCATE TABLE tokenmeter.{table}")
    monkeypatch.setattr(Totals, "touch", lambda self, due: None)
    assert left_by_a_killed_one(), "control: had it not noted what is due, nobody would make it"


def test_every_minute_of_a_month_may_be_touched_at_once(client: Client) -> None:
    """What a spool that was away for long brings: more than an address can hold."""
    totals = Totals(client)
    now = int(time.time())
    minutes = [("usage_events", now - now % 60 - number * 60) for number in range(30 * 1_440)]
    totals.touch(minutes)
    assert set(totals.pending()) == set(minutes)
    day, of_day = days(bucket for _, bucket in minutes)[1]
    assert len(of_day) == 1_440
    totals.remake("usage_events", day, of_day)
    assert len(totals.pending()) == len(minutes) - len(of_day)


def test_nothing_changes_when_every_page_is_loaded_twice_and_no_merge_ever_runs(client: Client) -> None:
    client.command("SYSTEM STOP MERGES")
    try:
        load(client)
        touch_and_make(client)
        once = contents(client)
        assert sum(map(len, once.values())) > 10
        load(client)
        touch_and_make(client)
        assert contents(client) == once
        assert wrong_totals(client) == []
        client.command(statement("usage_market", partition=7))
        assert contents(client) != once, "control: another page does show"
    finally:
        client.command("SYSTEM START MERGES")


def test_whoever_asks_the_views_for_a_sum_need_not_say_final_and_whoever_asks_the_tables_must(client: Client) -> None:
    client.command("SYSTEM STOP MERGES")
    try:
        load(client)
        touch_and_make(client)
        load(client)
        sums = {
            f"{place}{final}": client.query(f"SELECT sum(events) FROM {place}{final}").result_rows[0][0]
            for place in ("billing.lines", "tokenmeter.usage_billing", "tokenmeter.usage_market")
            for final in ("", " FINAL")
        }
        assert sums["billing.lines"] == sums["billing.lines FINAL"] == sums["tokenmeter.usage_billing FINAL"]
        assert sums["tokenmeter.usage_billing"] == 2 * sums["billing.lines"], "the control: rows of both loads"
        calls = client.query("SELECT sum(calls) FROM boards.market").result_rows[0][0]
        assert calls == sums["tokenmeter.usage_market FINAL"]
    finally:
        client.command("SYSTEM START MERGES")


def test_days_and_minutes_are_utc_wherever_the_server_stands(tmp_path: Path) -> None:
    server = Server(tmp_path, {"TZ": "America/New_York"})
    server.start()
    try:
        client = connect(server.url, "writer", "secret", session_timezone="Europe/Moscow")
        migrate(client)
        load(client)
        touch_and_make(client)
        plain = connect(server.url, "writer", "secret")
        assert wrong_totals(plain) == []
        days_seen = plain.query(
            "SELECT DISTINCT toString(day) FROM tokenmeter.market_daily FINAL ORDER BY 1"
        ).result_rows
        hours = (
            "SELECT DISTINCT substring(toString(occurred_hour, 'UTC'), 1, 10) FROM tokenmeter.usage_market ORDER BY 1"
        )
        assert days_seen == plain.query(hours).result_rows
    finally:
        server.child.stop()
