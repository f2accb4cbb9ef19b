"""One setting makes the same migrations fit a cluster.

The embedded engine accepts every rendered statement, and runs all but what needs other servers: a queue of DDL
(ON CLUSTER) and replicas. So it runs them on its cluster of one node, without those two.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from support.clickhouse import Server
from support.lines import load
from support.recount import wrong_totals
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.store import cluster
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import Migration, bundled, migrate
from tokenmeter.store.parsed import parse
from tokenmeter.store.statement import sql
from tokenmeter.store.totals import SOURCES, Totals, days

NAME = "default"
HISTORY = Migration("0000_history", sql("migration_history"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cluster"))
    server.start()
    yield server
    server.child.stop()


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return connect(server.url, "writer", "secret", **cluster.SETTINGS)


def rendered(client: Client, migration: Migration) -> list[str]:
    def ask(text: str, params: dict[str, str]) -> bytes:
        return client.raw_query(text, parameters=params, fmt="TabSeparatedRaw")

    return cluster.render(parse(ask, migration.statement.encode()), NAME)


def parses(client: Client, *statements: str) -> bool:
    """In one request: the engine's parser takes all of them."""
    given = {"all": [statement.encode().hex() for statement in statements]}
    try:
        return bool(
            client.raw_query("SELECT formatQuery(unhex(arrayJoin({all:Array(String)}))) FORMAT Null", given) == b""
        )
    except DatabaseError as error:
        assert "Syntax error" in str(error)
        return False


@pytest.fixture(scope="module")
def statements(client: Client) -> dict[str, str]:
    return {
        f"{migration.name}_{number}": statement
        for migration in (*bundled()[:1], HISTORY, *bundled()[1:])
        for number, statement in enumerate(rendered(client, migration))
    }


def test_every_rendered_statement_is_one_that_the_engine_parses(client: Client, statements: dict[str, str]) -> None:
    assert len(statements) > len(bundled())
    for name, statement in statements.items():
        opening = statement.partition("\n(")[0] + statement[-900:]
        if not statement.lstrip("-").startswith("INSERT") and "INSERT INTO" not in opening:
            assert f"ON CLUSTER '{NAME}'" in statement, name
        if "ENGINE = " in statement:
            assert "ENGINE = Replicated" in statement or "ENGINE = Distributed" in statement, name
    assert parses(client, *statements.values())
    assert not parses(client, *statements.values(), "CREATE TABLE a ON CLUSTER (b Int8) ENGINE = Memory")


def test_a_statement_or_a_table_of_another_kind_is_refused_and_not_left_on_one_node(client: Client) -> None:
    for statement, said in (
        ("CREATE TABLE tokenmeter.new (a Int64) ENGINE = MergeTree ORDER BY a", "sharded"),
        ("OPTIMIZE TABLE tokenmeter.usage_events", "rendered"),
    ):
        with pytest.raises(Fatal, match=said):
            rendered(client, Migration("new", statement))
    keys = rendered(client, Migration("ttl", "ALTER TABLE tokenmeter.alerts MODIFY TTL broker_at + INTERVAL 9 DAY"))
    assert [one.split()[2] for one in keys] == ["tokenmeter_shard.alerts"], "a distributed table has no TTL"


def test_a_user_without_the_settings_of_a_cluster_is_refused_with_their_names(server: Server) -> None:
    with pytest.raises(Misconfigured, match="insert_quorum = 'auto'"):
        migrate(connect(server.url, "writer", "secret"), cluster=NAME)


def test_tables_totals_and_views_of_a_cluster_are_those_of_one_node(client: Client, statements: dict[str, str]) -> None:
    alone = [
        Migration(name, text.replace(f" ON CLUSTER '{NAME}'", "").replace("ENGINE = Replicated", "ENGINE = "))
        for name, text in statements.items()
        if not name.startswith(HISTORY.name)
    ]
    migrate(client, [Migration(bundled()[0].name, bundled()[0].statement), *alone])
    for _ in range(2):
        load(client)
    stored = client.command("SELECT count() FROM tokenmeter_shard.usage_events FINAL")
    assert stored == client.command("SELECT count() FROM tokenmeter.usage_events FINAL") == 600
    totals = Totals(client)
    for source in SOURCES.values():
        start = f"intDiv(toUnixTimestamp(toDateTime({source.time_column})), {source.bucket_s}) * {source.bucket_s}"
        found = client.query(f"SELECT DISTINCT {start} FROM tokenmeter.{source.table}").result_columns[0]
        for day, buckets in days([int(bucket) for bucket in found]):
            totals.remake(source.table, day, buckets)
    assert wrong_totals(client) == []
    names = client.query("SELECT name FROM system.tables WHERE database = 'boards'").result_columns[0]
    for name in names:
        client.raw_query(f"SELECT * FROM boards.{name} LIMIT 3")
