"""clickhouse-connect, unchanged, against the embedded server: what a real server does, this one does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from tenacity import stop_after_attempt

from support.clickhouse import Server, migrated
from support.events import event, value
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Fatal, Misconfigured, Transient
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.page.foreign import TABLE as FOREIGN
from tokenmeter.store import comments
from tokenmeter.store.client import connect
from tokenmeter.store.corrected import existing
from tokenmeter.store.insert import insert_arrow
from tokenmeter.store.migrate import Migration, bundled, migrate
from tokenmeter.store.statement import totals

ROWS = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with migrated(tmp_path_factory.mktemp("store")) as server:
        yield server


def rows() -> pl.DataFrame:
    frame = decode([value(number) for number in range(ROWS)]).frame.drop(INDEX)
    return frame.with_columns(
        pl.lit(0, pl.Int32).alias("partition"),
        pl.int_range(ROWS, dtype=pl.Int64).alias("offset"),
        pl.lit(datetime.now(UTC)).dt.cast_time_unit("ms").alias("appended_at"),
    )


def test_inserting_a_page_twice_equals_once(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    arrow = rows().to_arrow(compat_level=pl.CompatLevel.oldest())
    client.command("TRUNCATE TABLE tokenmeter.usage_events")
    insert_arrow(client, "tokenmeter.usage_events", arrow)
    once = totals(client, "events")
    insert_arrow(client, "tokenmeter.usage_events", arrow)
    assert totals(client, "events") == once
    assert once["events"] == ROWS
    assert once["input_tokens"] == rows()["input_tokens"].sum()


def test_what_one_insert_repeats_is_read_once(server: Server) -> None:
    """Rows are not merged with those of their own insert; FINAL must do that even where one part is all there is."""
    client = connect(server.url, "writer", "secret")
    client.command("TRUNCATE TABLE tokenmeter.usage_events")
    again = rows().with_columns(pl.col("offset") + ROWS)
    insert_arrow(
        client, "tokenmeter.usage_events", pl.concat([rows(), again]).to_arrow(compat_level=pl.CompatLevel.oldest())
    )
    found = totals(client, "events")
    assert (found["events"], found["input_tokens"]) == (ROWS, rows()["input_tokens"].sum())
    offsets = "SELECT max(offset), count() FROM tokenmeter.usage_events FINAL SETTINGS {} = 1"
    for setting in ("do_not_merge_across_partitions_select_final", "final"):
        assert client.query(offsets.format(setting)).result_rows == [(ROWS - 1, ROWS)], "the smaller offset is kept"


def optional(client: Client) -> list[str]:
    described = client.query("DESCRIBE TABLE tokenmeter.usage_events").result_rows
    return [str(row[0]) for row in described if "Nullable" in str(row[1])]


@pytest.mark.parametrize("filled", ["nulls", "zeros", "every third null"])
def test_a_page_is_stored_as_if_all_of_it_were_sent(server: Server, filled: str) -> None:
    """Columns that are null or zero throughout are left out, and texts of few values go as a dictionary."""
    client = connect(server.url, "writer", "secret")
    names, schema = optional(client), rows().schema
    assert len(names) > 20
    zeros = [name for name, kind in schema.items() if kind == pl.Int64 and name not in ("partition", "offset")]
    assert {"sequence", "latency_ms"} & {*zeros}, "of these a zero is no null"
    made = {
        "nulls": [pl.lit(None, schema[name]).alias(name) for name in names],
        "zeros": [pl.lit(0, schema[name]).alias(name) for name in zeros],
        "every third null": [pl.when(pl.col("offset") % 3 > 0).then(pl.col(name)).alias(name) for name in names],
    }[filled]
    arrow = rows().with_columns(made).to_arrow(compat_level=pl.CompatLevel.oldest())
    stored = []
    for insert in (partial(insert_arrow, client), client.insert_arrow):
        client.command("TRUNCATE TABLE tokenmeter.usage_events")
        insert("tokenmeter.usage_events", arrow)
        stored.append(client.query("SELECT * FROM tokenmeter.usage_events FINAL ORDER BY offset").result_rows)
    assert len(stored[0]) == ROWS
    assert stored[0] == stored[1]


def test_no_column_that_a_loader_fills_has_a_default_of_its_own(server: Server) -> None:
    """It would stand where a column that is null throughout was left out."""
    client = connect(server.url, "writer", "secret")
    asked = "SELECT table, name FROM system.columns WHERE database = 'tokenmeter' AND default_kind = 'DEFAULT'"
    of_loader = {table for _, table in TABLES.values()} | {FOREIGN}
    assert [(table, name) for table, name in client.query(asked).result_rows if table in of_loader] == []


def test_a_quantity_that_was_left_out_is_zero_in_every_table(server: Server) -> None:
    """In one that takes nulls it would be null."""
    client = connect(server.url, "writer", "secret")
    asked = "SELECT DISTINCT type FROM system.columns WHERE database = 'tokenmeter' AND name IN {names:Array(String)}"
    assert client.query(asked, parameters={"names": [*QUANTITY_FIELDS]}).result_rows == [("Int64",)]


def test_a_correction_finds_the_call_that_it_names_and_no_other(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    client.command("TRUNCATE TABLE tokenmeter.usage_events")
    insert_arrow(client, "tokenmeter.usage_events", rows().to_arrow(compat_level=pl.CompatLevel.oldest()))
    made = [event(number) for number in range(ROWS)]
    mine = {(one.event_id, round(one.occurred_at.timestamp() * 1e6)) for one in made if one.customer_id == "cus_1"}
    assert len(mine) > 3
    assert existing(client, "cus_1", mine) == mine
    assert existing(client, "cus_2", mine) == set()
    assert existing(client, "cus_1", {(name, at_us + 1) for name, at_us in mine}) == set()
    assert existing(client, "cus_1", {(f"{name}'", at_us) for name, at_us in mine}) == set()
    # Two calls' names and times crossed are no call.
    (one, at_us), (other, other_us) = sorted(mine)[:2]
    assert existing(client, "cus_1", {(one, other_us), (other, at_us)}) == set()
    client.command("TRUNCATE TABLE tokenmeter.usage_events")


@pytest.mark.parametrize("compression", [None, "lz4", "zstd", "gzip"])
def test_queries_parameters_inserts_and_streams(server: Server, compression: str | None) -> None:
    import clickhouse_connect

    port = int(server.url.rsplit(":", 1)[1])
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=port, username="writer", password="secret", compress=compression or False
    )
    client.command("CREATE OR REPLACE TABLE t (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    client.insert("t", [[n, f"it's {n}"] for n in range(2_000)], column_names=["a", "b"])
    assert client.query("SELECT {x:Int64} + 1", parameters={"x": 41}).result_rows == [(42,)]
    assert client.query("SELECT count(), sum(a) FROM t").result_rows == [(2_000, 1_999_000)]
    assert client.query_arrow("SELECT a FROM t ORDER BY a").num_rows == 2_000
    with client.query_row_block_stream("SELECT a FROM t") as blocks:
        assert sum(len(block) for block in blocks) == 2_000
    assert client.query("SELECT sum(number) FROM numbers(10)", settings={"max_threads": 1}).result_rows == [(45,)]
    client.raw_insert("t", ["a", "b"], "7\tseven\n", fmt="TabSeparated")
    assert client.query("SELECT b FROM t WHERE a = 7 AND b = 'seven'").result_rows == [("seven",)]


def test_parameters_too_long_for_a_url_arrive_whole(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    pairs = [(f"it's {n}\n", "\u00e9" * 40) for n in range(5_000)]
    asked = client.query("SELECT {pairs:Array(Tuple(String, String))}", parameters={"pairs": pairs})
    assert asked.result_rows == [(pairs,)]
    assert client.query("SELECT length({text:String})", parameters={"text": "x" * 100_000}).result_rows == [(100_000,)]


def test_errors_carry_clickhouse_s_codes(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    with pytest.raises(DatabaseError, match=r"[Cc]ode:? 60"):
        client.query("SELECT * FROM nowhere")
    with pytest.raises(DatabaseError, match=r"[Cc]ode:? 62"):
        client.query("SELEC 1")
    with pytest.raises(DatabaseError, match=r"[Cc]ode:? 48"):
        client.command("CREATE TABLE k (a Int64) ENGINE = Kafka()")


def test_a_wrong_password_is_refused_and_a_reader_cannot_write(server: Server) -> None:
    with pytest.raises(Misconfigured, match="516"):
        connect(server.url, "writer", "wrong")
    reader = connect(server.url, "reader", "look")
    assert reader.query("SELECT 1").result_rows == [(1,)]
    for statement in (
        "CREATE TABLE x (a Int64) ENGINE = Memory",
        "INSERT INTO tokenmeter.usage_pages (partition) VALUES (1)",
        "DROP TABLE tokenmeter.usage_pages",
        "SET readonly = 0",
    ):
        with pytest.raises(DatabaseError, match="164"):
            reader.command(statement)


def test_migrations_run_once_and_refuse_an_edited_file(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    assert migrate(client) == []
    first = bundled()[2]
    with pytest.raises(Misconfigured, match=first.name):
        migrate(client, [Migration(first.name, first.statement + "-- edited")])


def test_kill_9_loses_no_acknowledged_insert_and_a_second_owner_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    client = connect(server.url, "writer", "secret")
    migrate(client)
    insert_arrow(client, "tokenmeter.usage_events", rows().to_arrow(compat_level=pl.CompatLevel.oldest()))
    second = Server(tmp_path)
    second.child.start()
    second.child.wait(30)
    assert "one process owns" in second.child.log_tail()
    server.child.kill()
    server.start()
    assert totals(connect(server.url, "writer", "secret"), "events")["events"] == ROWS
    server.child.stop()


def test_an_insert_into_a_server_that_is_away_may_be_tried_again_and_a_refused_one_not(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    client = connect(server.url, "writer", "secret")
    once = insert_arrow.retry_with(stop=stop_after_attempt(1))
    page = rows().to_arrow(compat_level=pl.CompatLevel.oldest())
    with pytest.raises(Fatal, match="nowhere"):
        once(client, "tokenmeter.nowhere", page)
    server.child.kill()
    with pytest.raises(Transient, match=str(ROWS)):
        once(client, "tokenmeter.usage_events", page)


def test_every_table_view_and_column_says_what_it_is(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    before = comments.found(client)
    comments.explain(client)
    after = comments.found(client)
    assert [".".join(name) for name, comment in after.items() if not comment] == []
    assert {name: after[name] for name, comment in before.items() if comment} == {
        name: comment for name, comment in before.items() if comment
    }, "what a migration said stays"
    assert after["boards", "models", "errors"] == after["tokenmeter", "market_hourly", "errors"]
    assert after["boards", "models_by_app", ""] == "The market by day and model, by application"
    assert comments.explain(client) == 0
    unknown = {**before, ("boards", "models", "of_nobody"): ""}
    assert ("boards", "models", "of_nobody") not in comments.missing(unknown, comments.glossary()), "and is seen above"
