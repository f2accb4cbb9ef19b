"""What clients of four languages say by default, spoken by hand: ClickHouse's own compression, newer Native blocks,
external tables, ``input()``, parameters of inserts, query ids, and clients that go away.

``make clients`` runs the clients themselves.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import zstandard

from support.clickhouse import Server
from tokenmeter.store.blocks import LZ4, METHODS, compressed_blocks, decompressed_blocks
from tokenmeter.store.body import BodyError

WRITER = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "secret"}
READER = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "look"}
CLIENT = httpx.Client(timeout=120, trust_env=False)
DEADLINE_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("protocol"))
    server.start()
    for statement in ("CREATE DATABASE boards", "CREATE TABLE t (a Int64, b String) ENGINE = MergeTree ORDER BY a"):
        assert ask(server, statement).status_code == 200
    yield server
    CLIENT.close()
    server.child.stop()


def ask(server: Server, query: str, body: bytes = b"", user: dict[str, str] = WRITER, **url: str) -> httpx.Response:
    return CLIENT.post(server.url, params={"query": query, **url}, content=body, headers=user)


def stored(server: Server) -> str:
    found = ask(server, "SELECT a, b FROM t ORDER BY a, b").text
    assert ask(server, "TRUNCATE TABLE t").status_code == 200
    return found


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(server: Server, word: str) -> bool:
    asked = f"SELECT count() FROM system.processes WHERE query LIKE '%{word}%' AND query NOT LIKE '%processes%'"
    return ask(server, asked).text == "1\n"


@pytest.mark.parametrize(
    "table, settings, code",
    [
        ("ENGINE = MergeTree PARTITION BY a ORDER BY a", "", "252"),
        (", CONSTRAINT small CHECK a < 500) ENGINE = MergeTree ORDER BY a", "", "469"),
        ("ENGINE = MergeTree ORDER BY a", "SETTINGS max_memory_usage = 1000, max_untracked_memory = 0", "241"),
    ],
)
@pytest.mark.parametrize("form", ["TSV", "Values"])
def test_what_a_table_did_not_take_is_never_answered_as_stored(
    server: Server, table: str, settings: str, code: str, form: str
) -> None:
    """chDB's own streaming insert says 1 000 rows written, and there is none: of a full disk as well."""
    columns = "(a Int64, b String" + ("" if table.startswith(",") else ") ")
    assert ask(server, f"CREATE OR REPLACE TABLE strict {columns}{table}").status_code == 200
    row = "(%d,'x')," if form == "Values" else "%d\tx\n"
    data = "".join(row % number for number in range(1_000)).rstrip(",").encode()
    words = f"INSERT INTO strict (a, b) {settings}"
    refused = ask(server, f"{words} VALUES " if form == "Values" else f"{words} FORMAT TSV", data)
    assert refused.headers.get("X-ClickHouse-Exception-Code") == code, refused.text
    assert refused.status_code >= 400
    assert ask(server, "SELECT count() FROM strict").text == "0\n"


@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_clickhouse_s_own_compression_go_both_ways(server: Server, method: str) -> None:
    sent = b"".join(compressed_blocks([b"1\tone\n", b"2\t" + b"two" * 9_000 + b"\n"], METHODS[method]))
    assert ask(server, "INSERT INTO t FORMAT TSV", sent, decompress="1").status_code == 200
    assert stored(server) == "1\tone\n2\t" + "two" * 9_000 + "\n"
    answer = ask(server, "SELECT number FROM numbers(300000)", compress="1", network_compression_method=method.upper())
    assert answer.content[16] == METHODS[method]
    plain = b"".join(decompressed_blocks([answer.content]))
    assert plain == b"".join(b"%d\n" % number for number in range(300_000))


def test_a_damaged_or_cut_block_stores_nothing(server: Server) -> None:
    whole = b"".join(compressed_blocks([b"1\tone\n"])) + b"".join(compressed_blocks([b"2\ttwo\n"]))
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(BodyError):
            list(decompressed_blocks([damaged]))
    for cut in (1, 20, len(whole) - 1):
        assert ask(server, "INSERT INTO t FORMAT TSV", whole[:cut], decompress="1").status_code == 400
    assert stored(server) == ""
    bomb = zstandard.compress(b"\0" * (200 << 20))
    head = struct.pack("<BII", METHODS["zstd"], len(bomb) + 9, 200 << 20)
    with pytest.raises(BodyError, match="at most"):
        list(decompressed_blocks([b"\0" * 16 + head + bomb]))


def test_a_checksum_is_the_one_that_other_clients_compute() -> None:
    """Two blocks as ClickHouse documents them: of the byte ``1`` and of nothing compressed."""
    block = b"".join(compressed_blocks([b"\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00"], METHODS["none"]))
    assert block[16:] == b"\x02\x13\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00"
    assert b"".join(decompressed_blocks([block])) == b"\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00"
    assert METHODS["lz4"] == LZ4


def test_a_newer_native_block_says_what_it_is_of_and_keeps_time_zones(server: Server) -> None:
    asked = "SELECT toDateTime(0, 'Asia/Tokyo') AS a, 'x' AS b, {n:Int8} AS c FORMAT Native"
    old = ask(server, asked, param_n="7").content
    assert old == b"\x03\x01\x01a\x08DateTime\0\0\0\0\x01b\x06String\x01x\x01c\x04Int8\x07"
    info, zoned = b"\x01\0\x02\xff\xff\xff\xff\0", b"\x16DateTime('Asia/Tokyo')"
    newer = ask(server, asked, param_n="7", client_protocol_version="54405").content
    assert newer == info + old.replace(b"\x08DateTime", zoned)
    newest = ask(server, asked, param_n="7", client_protocol_version="54460").content
    assert newest == info + b"\x03\x01\x01a" + zoned + b"\0" * 5 + b"\x01b\x06String\0\x01x\x01c\x04Int8\0\x07"
    refused = ask(server, "SELECT 1::Dynamic FORMAT Native", client_protocol_version="54460")
    assert refused.status_code == 501, "better than an answer that the client reads as something else"


def test_an_external_table_is_there_for_its_request_alone(server: Server) -> None:
    for user in (WRITER, READER):
        files = {"ext": ("ext", b"1\tx,y\n2\tz\n"), "more": ("more", b"7,1.50\n")}
        url = {
            "query": "SELECT a, b, _1, toTypeName(_2) FROM ext, more ORDER BY a",
            "ext_structure": "a Int64, b String",
            "more_types": "Int8,Decimal(9, 2)",
            "more_format": "CSV",
        }
        answer = CLIENT.post(server.url, params=url, files=files, headers=user)
        assert answer.text == "1\tx,y\t7\tDecimal(9, 2)\n2\tz\t7\tDecimal(9, 2)\n"
        assert ask(server, "SELECT * FROM ext").status_code == 404
    escaping = {"query": "SELECT * FROM ext", "ext_structure": "a Int8) UNION ALL SELECT * FROM system.processes --"}
    refused = CLIENT.post(server.url, params=escaping, files={"ext": ("ext", b"")}, headers=READER)
    assert refused.status_code == 400, refused.text


@pytest.mark.parametrize(
    "statement", ["INSERT INTO t SELECT a + 1, upper(b) FROM input('a Int64, b String') FORMAT CSV"]
)
def test_an_insert_selects_from_the_data_it_sends(server: Server, statement: str) -> None:
    answer = ask(server, statement, b"1,x FROM input()\n2,y\n")
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert stored(server) == "2\tX FROM INPUT()\n3\tY\n"
    for session in ("", "s"):
        assert ask(server, statement, b"broken", session_id=session).status_code == 400
        assert stored(server) == ""


def test_parameters_stand_in_an_insert_too(server: Server) -> None:
    assert ask(server, "INSERT INTO {t:Identifier} FORMAT CSV", b"1,x\n", param_t="t").status_code == 200
    values = ask(server, "INSERT INTO t VALUES ({a:Int64}, {b:String})", param_a="2", param_b="x); DROP")
    assert values.status_code == 200, values.text
    assert stored(server) == "1\tx\n2\tx); DROP\n"


def test_a_query_is_killed_by_the_id_that_its_client_gave(server: Server) -> None:
    slow = "SELECT sleepEachRow(1) FROM numbers(201) FORMAT Null SETTINGS max_block_size = 1"
    with ThreadPoolExecutor() as pool:
        asked = {
            name: pool.submit(ask, server, slow.replace("201", name), query_id=f"it's {name}")
            for name in ("201", "202")
        }
        until(lambda: running(server, "numbers(201)") and running(server, "numbers(202)"))
        assert ask(server, "KILL QUERY WHERE query_id = {id:String}", param_id="it's 201").status_code == 200
        killed = asked["201"].result(DEADLINE_S)
        assert (killed.status_code, killed.headers["X-ClickHouse-Exception-Code"]) == (500, "394")
        assert not asked["202"].done(), "and no other one"
        assert ask(server, "KILL QUERY WHERE query_id IN ('it''s 202')").status_code == 200
        asked["202"].result(DEADLINE_S)


def test_a_query_ends_with_the_client_that_asked_it_and_no_other_one(server: Server) -> None:
    slow = "SELECT sleepEachRow(1) FROM numbers({}) FORMAT Null SETTINGS max_block_size = 1"
    with ThreadPoolExecutor() as pool:
        stays = pool.submit(ask, server, slow.format(203), query_id="same")
        until(lambda: running(server, "numbers(203)"))
        with httpx.Client(trust_env=False) as leaving, pytest.raises(httpx.ReadTimeout):
            leaving.post(server.url, params={"query": slow.format(204), "query_id": "same"}, headers=READER, timeout=2)
        until(lambda: not running(server, "numbers(204)"))
        assert running(server, "numbers(203)"), "the id is the same, the client is not"
        ask(server, "KILL QUERY WHERE query_id = 'same'")
        assert stays.result(DEADLINE_S).status_code == 500


@pytest.mark.parametrize(
    ("form", "content_type", "rows"),
    [
        ("TabSeparated", "text/tab-separated-values; charset=UTF-8", "3"),
        ("JSON", "application/json; charset=UTF-8", "3"),
        ("JSONEachRow", "application/x-ndjson; charset=UTF-8", "3"),
        ("CSV", "text/csv; charset=UTF-8; header=absent", None),
        ("RowBinary", "application/octet-stream", None),
    ],
)
def test_an_answer_says_its_type_and_its_rows(server: Server, form: str, content_type: str, rows: str | None) -> None:
    answer = ask(server, "SELECT number AS a FROM numbers(3)", default_format=form)
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (answer.headers["Content-Type"], summary.get("result_rows")) == (content_type, rows)
    assert answer.headers["X-ClickHouse-Format"] == form


def test_progress_is_told_when_it_is_asked_for(server: Server) -> None:
    asked = {"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "1"}
    slow = "SELECT sleepEachRow(0.05) FROM numbers(8) FORMAT JSON SETTINGS max_block_size = 2"
    told = [json.loads(one) for one in ask(server, slow, **asked).headers.get_list("X-ClickHouse-Progress", False)]
    assert [int(one["read_rows"]) for one in told] == sorted(int(one["read_rows"]) for one in told)
    assert told and told[-1]["total_rows_to_read"] == "8"
    assert "X-ClickHouse-Progress" not in ask(server, slow).headers


def test_what_fails_half_way_is_told_in_the_answer_and_never_looks_whole(server: Server) -> None:
    asked = "SELECT throwIf(number = 900000, 'too far'), repeat('x', 9) FROM numbers(2000000) FORMAT TSV"
    received, tag = b"", ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        CLIENT.stream("POST", server.url, params={"query": asked, "max_threads": "1"}, headers=WRITER) as answer,
    ):
        tag = answer.headers["X-ClickHouse-Exception-Tag"]
        for piece in answer.iter_bytes():
            received += piece
    assert f"__exception__\r\n{tag}".encode() in received and b"too far" in received
    waited = ask(server, asked, wait_end_of_query="1", max_threads="1")
    assert (waited.status_code, waited.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_options_and_head_are_answered_without_running_anything(server: Server) -> None:
    assert CLIENT.options(server.url).headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert CLIENT.head(server.url, headers=WRITER).status_code == 200
    refused = CLIENT.head(server.url, params={"query": "INSERT INTO t VALUES (1, 'x')"}, headers=WRITER)
    assert refused.status_code == 403
    assert stored(server) == ""


def test_a_session_keeps_neither_the_settings_nor_the_database_of_a_request(server: Server) -> None:
    asked = "SELECT getSetting('max_threads'), currentDatabase()"
    mine = {"session_id": "kept"}
    assert ask(server, "SET max_threads = 3", **mine).status_code == 200
    assert ask(server, asked, **mine, max_threads="5", database="boards").text == "5\tboards\n"
    assert ask(server, asked, **mine).text == "3\tdefault\n"
    assert ask(server, asked, **mine, max_threads="5", nonsense="1").status_code == 404
    assert ask(server, asked, **mine).text == "3\tdefault\n"
    assert ask(server, "USE boards", **mine).status_code == 200
    assert ask(server, asked, **mine).text == "3\tboards\n"


def test_bytes_of_no_character_may_stand_in_a_string_alone(server: Server) -> None:
    def told(text: bytes) -> httpx.Response:
        return CLIENT.post(server.url, content=text, headers=WRITER)

    assert told(b"SELECT hex('\xff\xfe'), '\xc3\xbc'").text == "FFFE\tü\n"
    assert told(b"SELECT 1 AS `\xff`").status_code == 400


def test_what_answers_with_nothing_has_no_format(server: Server) -> None:
    assert "X-ClickHouse-Format" not in ask(server, "SET max_threads = 1").headers
    assert ask(server, "SELECT 1 WHERE 0").headers["X-ClickHouse-Format"] == "TabSeparated"
