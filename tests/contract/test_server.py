"""The embedded server keeps what a client sent and nothing else, and lets nobody out of the database.

Each kind of fault that was seen on real clients has a test; requests are made by hand where a client would hide them.
"""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import lz4.frame
import psutil
import pytest
import zstandard

from support.clickhouse import Server

WRITER = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "secret"}
READER = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "look"}
ROWS = b"1\tone\n2\ttwo\n"
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
READERS = 64
CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=READERS + 8), trust_env=False)
"""One for all: each new one reads every certificate of the machine first."""
SLOW = "SELECT sleepEachRow(3) FROM numbers(4) FORMAT Null SETTINGS max_block_size = 1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    for statement in (
        "CREATE DATABASE tokenmeter",
        "CREATE DATABASE boards",
        "CREATE TABLE tokenmeter.t (a Int64, b String) ENGINE = MergeTree ORDER BY a",
        "CREATE VIEW boards.v AS SELECT * FROM tokenmeter.t",
    ):
        assert ask(server, statement).status_code == 200
    yield server
    CLIENT.close()
    server.child.stop()


def ask(
    server: Server, query: str, body: bytes = b"", user: dict[str, str] = WRITER, method: str = "POST", **more: Any
) -> httpx.Response:
    headers = {**user, **more.pop("headers", {})}
    return CLIENT.request(method, server.url, params={"query": query, **more}, content=body, headers=headers)


def stored(server: Server) -> str:
    """What table t holds, which is then emptied."""
    found = ask(server, "SELECT a, b FROM tokenmeter.t ORDER BY a, b").text
    assert ask(server, "TRUNCATE TABLE tokenmeter.t").status_code == 200
    return found


def insert(server: Server, body: bytes, encoding: str = "") -> httpx.Response:
    return ask(server, "INSERT INTO tokenmeter.t FORMAT TSV", body, headers={"Content-Encoding": encoding})


TWO_FRAMES = {
    "gzip": gzip.compress(b"1\tone\n") + gzip.compress(b"2\ttwo\n"),
    "zstd": zstandard.compress(b"1\tone\n") + SKIPPABLE + zstandard.compress(b"2\ttwo\n"),
    "lz4": lz4.frame.compress(b"1\tone\n") + SKIPPABLE + lz4.frame.compress(b"2\ttwo\n"),
}


@pytest.mark.parametrize("encoding", TWO_FRAMES)
def test_a_body_of_several_frames_is_stored_whole_and_a_cut_one_not_at_all(server: Server, encoding: str) -> None:
    whole = TWO_FRAMES[encoding]
    assert insert(server, whole, encoding).status_code == 200
    assert stored(server) == ROWS.decode()
    for cut in range(1, len(whole), 3):
        if insert(server, whole[:cut], encoding).status_code == 200:
            assert stored(server) in ("", "1\tone\n"), f"cut at {cut}: only between two frames is it a whole body"
        else:
            assert stored(server) == "", f"cut at {cut}"


def test_frames_larger_than_a_piece_arrive_whole(server: Server) -> None:
    rows = b"".join(b"%d\t%s\n" % (n, b"x" * (n % 97)) for n in range(200_000))
    compressors = {
        "gzip": gzip.compress,
        "zstd": zstandard.compress,
        "lz4": lz4.frame.compress,
        "deflate": zlib.compress,
    }
    for encoding, compress in compressors.items():
        assert insert(server, compress(rows), encoding).status_code == 200
        count = ask(server, "SELECT count(), sum(length(b)) FROM tokenmeter.t").text.split()
        assert count == ["200000", str(sum(n % 97 for n in range(200_000)))], encoding
        stored(server)


def test_a_body_shorter_than_its_content_length_stores_nothing(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for length, kept in ((len(ROWS) + 5, ""), (len(ROWS), ROWS.decode())):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /?query=INSERT+INTO+tokenmeter.t+FORMAT+TSV HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: writer\r\n"
                b"X-ClickHouse-Key: secret\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length + ROWS
            )
            if length > len(ROWS):
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        assert stored(server) == kept


@pytest.mark.parametrize(
    ("query", "body", "kept"),
    [
        ("INSERT INTO tokenmeter.t FORMAT CSV", b"1,a;\n", "1\ta;\n"),
        ("/* FORMAT TSV */ INSERT INTO tokenmeter.t FORMAT CSV", b"1,x FORMAT y;", "1\tx FORMAT y;\n"),
        ("", b"INSERT INTO tokenmeter.t (`a`, b) FORMAT CSV\n1,SELECT 1; SELECT 2\n", "1\tSELECT 1; SELECT 2\n"),
        ("", b"INSERT INTO tokenmeter.t VALUES (1, 'x FORMAT CSV ;'), (2, 'y')", "1\tx FORMAT CSV ;\n2\ty\n"),
        ("INSERT INTO tokenmeter.t VALUES", b"(1, 'a')", "1\ta\n"),
        ("INSERT INTO tokenmeter.t FORMAT RowBinary", b"\x01" + b"\0" * 7 + b"\x03\xff\xfe;", None),
        ("INSERT INTO tokenmeter.t SELECT 1, ' FORMAT CSV '", b"", "1\t FORMAT CSV \n"),
    ],
)
def test_an_insert_stores_its_data_and_nothing_else(server: Server, query: str, body: bytes, kept: str | None) -> None:
    answer = ask(server, query, body)
    assert answer.status_code == 200, answer.text
    if kept is None:
        assert ask(server, "SELECT hex(b) FROM tokenmeter.t").text == "FFFE3B\n"
        ask(server, "TRUNCATE TABLE tokenmeter.t")
    else:
        assert stored(server) == kept


def test_an_insert_that_cannot_be_done_is_refused(server: Server) -> None:
    answer = ask(server, "INSERT INTO tokenmeter.t SELECT * FROM input() FORMAT CSV", b"1,a\n")
    assert answer.status_code == 501
    assert stored(server) == ""


def test_nothing_of_a_request_outlives_it(server: Server) -> None:
    for left in (
        "SET limit = 1",
        "CREATE TEMPORARY TABLE t (a Int8)",
        "SET readonly = 1",
        "USE system",
    ):
        for _ in range(10):
            ask(server, left)
    for _ in range(20):
        ask(server, "SELECT 1", session_timezone="Europe/Moscow", readonly="1", limit="1")
        assert ask(server, "SELECT count() FROM (SELECT * FROM numbers(3))").text == "3\n"
        assert ask(server, "SELECT * FROM numbers(3)").text == "0\n1\n2\n"
        assert ask(server, "SELECT toString(toDateTime(0)), currentDatabase()").text == "1970-01-01 00:00:00\tdefault\n"
    assert insert(server, ROWS).status_code == 200, "and it can still be written to"
    assert stored(server) == ROWS.decode()


def test_a_session_keeps_what_was_set_and_belongs_to_its_user(server: Server) -> None:
    assert ask(server, "SET limit = 1", session_id="s").status_code == 200
    assert ask(server, "SELECT * FROM numbers(3)", session_id="s").text == "0\n"
    assert ask(server, "SELECT * FROM numbers(3)", session_id="s", user=READER).text == "0\n1\n2\n"
    assert ask(server, "SELECT 1", session_id="s", method="GET").status_code == 200
    assert ask(server, "CREATE TEMPORARY TABLE z (a Int8)", session_id="s").status_code == 200, "after a GET, too"
    assert ask(server, "SELECT 1", session_id="new", session_check="1").status_code == 400


def test_a_session_that_ends_while_others_ask_is_never_closed_under_a_request(server: Server) -> None:
    def asked(at: int) -> httpx.Response:
        return ask(server, "SELECT 1", session_id=f"short {at % 3}", session_timeout="0")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(asked, range(200)))
    assert {answer.headers.get("X-ClickHouse-Exception-Code") for answer in answers} <= {None, "373"}
    assert {answer.text for answer in answers if answer.is_success} == {"1\n"}


def test_what_nobody_foresaw_is_told_with_a_code_too(server: Server) -> None:
    answer = ask(server, "SELECT 1", session_id="s", session_timeout="soon")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (503, "1001")
    assert "soon" in answer.text


def test_headers_are_known_in_any_case_and_cannot_be_forged(server: Server) -> None:
    lower = {name.lower(): value for name, value in WRITER.items()}
    assert ask(server, "SELECT 1", user=lower).text == "1\n"
    answer = ask(server, "SELECT 1", query_id="a\r\nX-Evil: 1")
    assert answer.status_code == 400
    assert "x-evil" not in answer.headers
    whole = ask(server, "SELECT 1")
    assert whole.headers["Content-Length"] == "2"
    assert json.loads(whole.headers["X-ClickHouse-Summary"]).keys() >= {"read_rows", "written_rows", "elapsed_ns"}
    assert json.loads(insert(server, ROWS).headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    stored(server)
    assert httpx.get(f"{server.url}/nowhere").status_code == 404
    assert httpx.head(f"{server.url}/ping").status_code == 200


def test_a_bad_password_is_refused_before_the_body_is_looked_at(server: Server) -> None:
    bomb = zstandard.compress(b"\0" * (256 << 20))
    before = psutil.Process(server.child.pid).memory_info().rss
    wrong = {**WRITER, "X-ClickHouse-Key": "wrong"}
    answer = ask(server, "INSERT INTO tokenmeter.t FORMAT TSV", bomb, wrong, headers={"Content-Encoding": "zstd"})
    assert answer.status_code == 403
    assert psutil.Process(server.child.pid).memory_info().rss - before < 64 << 20


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEC 1", 400, "62"),
        ("SELECT nope()", 404, "46"),
        ("SELECT nope", 404, "47"),
        ("SELECT * FROM tokenmeter.nowhere", 404, "60"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("CREATE TABLE tokenmeter.k (a Int64) ENGINE = Kafka", 501, "48"),
        ("SELECT sleepEachRow(1) FROM numbers(9) SETTINGS max_execution_time = 1, max_block_size = 1", 408, "159"),
    ],
)
def test_an_error_has_clickhouse_s_status_and_code(server: Server, statement: str, status: int, code: str) -> None:
    answer = ask(server, statement)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code), answer.text


def test_what_is_not_utf_8_is_refused_and_not_replaced(server: Server) -> None:
    answer = httpx.post(f"{server.url}/?query=SELECT+{{x:String}}&param_x=%ff", headers=WRITER)
    assert answer.status_code == 400


OUTSIDE = {
    "file, as a table": "SELECT * FROM file('/etc/hostname', 'RawBLOB')",
    "file, as a function": "SELECT file('/etc/hostname')",
    "file, by name": "SELECT * FROM `/etc/hostname`",
    "url": "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "s3": "SELECT * FROM s3('http://127.0.0.1:1/x', 'CSV', 'a String')",
    "the cluster of this node": "SELECT * FROM cluster('default', tokenmeter, t)",
    "remote": "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
    "executable": "SELECT * FROM executable('x', 'CSV', 'a String')",
    "into outfile": "SELECT 1 /* x */ INTO OUTFILE '/tmp/tokenmeter-outfile'",
    "insert into file": "/* x */ INSERT INTO FUNCTION file('o.csv', 'CSV', 'a Int64') SELECT 1",
    "two statements": "SELECT 1; SELECT 2",
}
"""What nobody may do."""
WRITING = {
    "insert": "INSERT INTO tokenmeter.t SELECT 1, 'x'",
    "create": "CREATE TABLE tokenmeter.u (a Int64) ENGINE = Memory",
    "drop": "DROP TABLE IF EXISTS tokenmeter.u",
    "alter": "ALTER TABLE tokenmeter.t MODIFY COMMENT 'x'",
    "truncate": "TRUNCATE TABLE tokenmeter.t",
    "optimize": "OPTIMIZE TABLE tokenmeter.t",
    "kill": "KILL QUERY WHERE 0",
    "system": "SYSTEM FLUSH LOGS",
    "set": "SET max_threads = 1",
    "temporary table": "CREATE TEMPORARY TABLE z (a Int8)",
    "raw table": "SELECT count() FROM tokenmeter.t",
    "raw table, quoted": 'SELECT count() FROM boards.v WHERE (a, b) IN "tokenmeter"."t"',
    "raw table, described": "DESCRIBE TABLE tokenmeter.t",
    "raw table, merged": "SELECT count() FROM merge('tokenmeter', 't')",
    "kill, by another's id": "KILL QUERY WHERE query_id = 'of another'",
    "insert of input()": "INSERT INTO tokenmeter.t SELECT * FROM input('a Int64, b String') FORMAT TSV",
    "others' queries": "SELECT count() FROM system.processes",
    "use": "USE tokenmeter",
}
"""What a writer may and a reader may not."""
READING = (
    "SELECT count() FROM boards.v",
    "WITH 1 AS x SELECT x FROM numbers(3)",
    "SHOW TABLES FROM boards",
    "DESCRIBE TABLE boards.v",
    "EXISTS TABLE boards.v",
    "EXPLAIN SELECT 1",
    "SELECT name FROM system.columns WHERE database = 'boards'",
    "SELECT name, value FROM system.settings LIMIT 1",
    "SELECT 'tokenmeter' AS x",
)


def test_readers_and_writers_may_do_what_the_table_says(server: Server) -> None:
    table = [("operation", "reader", "writer")]
    for name, statement in {**OUTSIDE, **WRITING}.items():
        reader, writer = ask(server, statement, user=READER), ask(server, statement)
        table.append((name, str(reader.status_code), str(writer.status_code)))
        assert reader.status_code != 200, f"{name}: {reader.text}"
        assert (writer.status_code == 200) == (name in WRITING), f"{name}: {writer.text}"
    for statement in READING:
        assert ask(server, statement, user=READER).status_code == 200, statement
    print("\n".join(f"{name:24} {reader:7} {writer}" for name, reader, writer in table))
    assert not Path("/tmp/tokenmeter-outfile").exists()
    stored(server)


def test_64_readers_are_answered_while_slow_queries_run(server: Server) -> None:
    with ThreadPoolExecutor(READERS + 8) as pool:
        slow = [pool.submit(ask, server, SLOW) for _ in range(8)]
        quick = [pool.submit(ask, server, f"SELECT {n}", user=READER) for n in range(READERS)]
        assert [one.result(60).text for one in quick] == [f"{n}\n" for n in range(READERS)]
        assert not all(one.done() for one in slow), "they were answered before the slow ones"
        assert {one.result(60).status_code for one in slow} == {200}


def test_a_large_answer_is_streamed_and_a_client_that_goes_away_ends_its_query(server: Server) -> None:
    big = "SELECT number, repeat('x', 100) FROM numbers({rows}) FORMAT TSV"
    process = psutil.Process(server.child.pid)
    before, size = process.memory_info().rss, 0
    peak = before
    with httpx.stream("POST", server.url, params={"query": big.format(rows=3_000_000)}, headers=WRITER) as answer:
        for piece in answer.iter_bytes(1 << 20):
            size += len(piece)
            peak = max(peak, process.memory_info().rss)
    assert size == _bytes(3_000_000)
    assert peak - before < 200 << 20, f"{(peak - before) >> 20} MB"
    endless = big.format(rows=10_000_000_000)
    with httpx.stream("POST", server.url, params={"query": endless}, headers=WRITER) as answer:
        next(answer.iter_bytes(1 << 20))
    assert ask(server, "SELECT 1").text == "1\n"


def _bytes(rows: int) -> int:
    """Of the lines ``number, tab, 100 x, newline`` of the numbers below ``rows``."""
    digits = 0
    for places in range(1, len(str(rows - 1)) + 1):
        first = 0 if places == 1 else 10 ** (places - 1)
        digits += (min(10**places, rows) - first) * places
    return digits + 102 * rows
