"""A real Superset against the embedded ClickHouse server, through the unchanged SQLAlchemy dialect."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from support.broker import eventually
from support.clickhouse import Server
from support.superset import api, log_in, shared_node
from tokenmeter.events.errors import Fatal
from tokenmeter.stack import superset_venv
from tokenmeter.stack.superset import SupersetNode
from tokenmeter.stack.superset_venv import ensure_superset
from tokenmeter.store.client import connect

DIALECT = """
import sys
from sqlalchemy import Column, MetaData, Table, create_engine, inspect, select, text
from sqlalchemy.sql import func

engine = create_engine(sys.argv[1])
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE shelf.dialect (k Int64, v Nullable(String)) ENGINE = MergeTree ORDER BY k"))
table = Table("dialect", MetaData(schema="shelf"), autoload_with=engine)
assert [column.name for column in table.columns] == ["k", "v"]
with engine.begin() as connection:
    connection.execute(table.insert(), [{"k": 1, "v": "one"}, {"k": 2, "v": "it's"}, {"k": 3, "v": None}])
with engine.connect() as connection:
    rows = connection.execute(select(table.c.k, table.c.v).order_by(table.c.k)).fetchall()
    assert [tuple(row) for row in rows] == [(1, "one"), (2, "it's"), (3, None)], rows
    found = connection.execute(text("SELECT k FROM shelf.dialect WHERE v = :v"), {"v": "it's"}).scalar()
    assert found == 2, found
    assert connection.execute(select(func.sum(table.c.k))).scalar() == 6
assert "dialect" in inspect(engine).get_table_names(schema="shelf")
assert "shelf" in inspect(engine).get_schema_names()
print("dialect agrees")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("superset-clickhouse"), reads=("boards", "shelf"))
    server.start()
    client = connect(server.url, "writer", "secret")
    client.command("CREATE DATABASE shelf")
    client.command("CREATE TABLE shelf.numbers (n UInt64, name String) ENGINE = MergeTree ORDER BY n")
    client.command("INSERT INTO shelf.numbers VALUES (1, 'one'), (2, 'two'), (39, 'many')")
    yield server
    server.child.stop()


@pytest.fixture(scope="session")
def node() -> SupersetNode:
    return shared_node()


def uri(server: Server, user: str, password: str) -> str:
    return f"clickhousedb://{user}:{password}@{server.url.removeprefix('http://')}/default"


def make_database(client: httpx.Client, name: str, sqlalchemy_uri: str) -> int:
    body = {"database_name": name, "sqlalchemy_uri": sqlalchemy_uri, "expose_in_sqllab": True, "allow_dml": True}
    answer = client.post("/database/", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def run_sql(client: httpx.Client, database: int, sql: str) -> httpx.Response:
    body = {"database_id": database, "sql": sql, "runAsync": False, "queryLimit": 100}
    return client.post("/sqllab/execute/", json=body)


def test_only_the_generated_password_logs_in(node: SupersetNode) -> None:
    assert log_in(node.url, node.user, node.password).status_code == 200
    assert log_in(node.url, node.user, "admin").status_code == 401


@pytest.mark.parametrize("path", ["database/", "dashboard/", "chart/", "query/", "security/csrf_token/", "me/"])
def test_anonymous_reads_are_refused(node: SupersetNode, path: str) -> None:
    assert httpx.get(f"{node.url}/api/v1/{path}", timeout=30).status_code == 401


def test_anonymous_queries_are_refused_even_with_a_csrf_token(node: SupersetNode) -> None:
    with httpx.Client(base_url=node.url, timeout=30, headers={"Referer": node.url}) as visitor:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', visitor.get("/login/").text)
        assert found, "the login page hands out a CSRF token"
        visitor.headers["X-CSRFToken"] = found.group(1)
        for path in ("chart/data", "sqllab/execute/"):
            answer = visitor.post(f"/api/v1/{path}", json={"database_id": 1, "sql": "SELECT 1"})
            assert answer.status_code == 401, answer.text


def test_a_write_without_the_csrf_token_is_refused(node: SupersetNode) -> None:
    with api(node) as client:
        del client.headers["X-CSRFToken"]
        answer = client.post("/database/", json={"database_name": "no", "sqlalchemy_uri": "clickhousedb://x"})
        assert answer.status_code == 400
        assert "CSRF" in answer.text


def test_sql_lab_reads_rows_through_the_dialect(node: SupersetNode, server: Server) -> None:
    target = uri(server, "reader", "look")
    with api(node) as client:
        answer = client.post("/database/test_connection/", json={"sqlalchemy_uri": target, "database_name": "probe"})
        assert answer.status_code == 200, answer.text
        wrong = client.post(
            "/database/test_connection/",
            json={"sqlalchemy_uri": uri(server, "reader", "wrong"), "database_name": "probe"},
        )
        assert wrong.status_code >= 400
        database = make_database(client, "reads", target)
        answer = run_sql(client, database, "SELECT n, name FROM shelf.numbers ORDER BY n")
        assert answer.status_code == 200, answer.text
        rows = [(row["n"], row["name"]) for row in answer.json()["data"]]
        assert rows == [(1, "one"), (2, "two"), (39, "many")]


def test_a_read_only_user_cannot_write_through_sql_lab(node: SupersetNode, server: Server) -> None:
    insert = "INSERT INTO shelf.numbers VALUES ({}, 'written')"
    count = "SELECT count() FROM shelf.numbers WHERE name = 'written'"
    with api(node) as client:
        reads = make_database(client, "cannot write", uri(server, "reader", "look"))
        refused = run_sql(client, reads, insert.format(100))
        assert refused.status_code >= 400, refused.text
        assert connect(server.url, "writer", "secret").query(count).first_row[0] == 0
        # The control: what refuses is the user's grant, not SQL Lab.
        writes = make_database(client, "can write", uri(server, "writer", "secret"))
        written = run_sql(client, writes, insert.format(101))
        assert written.status_code == 200, written.text
        assert connect(server.url, "writer", "secret").query(count).first_row[0] == 1
        connect(server.url, "writer", "secret").command("TRUNCATE TABLE shelf.numbers")
        connect(server.url, "writer", "secret").command(
            "INSERT INTO shelf.numbers VALUES (1, 'one'), (2, 'two'), (39, 'many')"
        )


def test_the_sqlalchemy_dialect_works_unchanged(server: Server) -> None:
    command = [str(ensure_superset() / "bin" / "python"), "-c", DIALECT, uri(server, "writer", "secret")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "dialect agrees"


def test_pages_name_no_telemetry_host(node: SupersetNode) -> None:
    page = httpx.get(f"{node.url}/login/", timeout=30)
    assert page.status_code == 200
    assert "scarf" not in page.headers["content-security-policy"]


def test_secrets_are_private_and_not_on_the_command_line(node: SupersetNode) -> None:
    assert node.child is not None
    master = psutil.Process(node.child.pid)
    words = [word for process in (master, *master.children(recursive=True)) for word in process.cmdline()]
    assert node.password not in " ".join(words)
    folder = Path(master.environ()["SUPERSET_HOME"])
    for name in ("secrets.json", "metadata.db"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.long
def test_it_comes_back_with_its_password_and_stop_leaves_no_process(tmp_path: Path) -> None:
    node = SupersetNode(tmp_path / "superset", tmp_path / "superset.log")
    for _ in range(2):
        node.start()
        try:
            password = node.password
            assert log_in(node.url, node.user, password).status_code == 200
            assert node.child is not None
            master = psutil.Process(node.child.pid)
            family = [master, *master.children(recursive=True)]
            assert len(family) > 1
        finally:
            node.stop()
        eventually("every process of Superset ended", lambda family=family: not any(p.is_running() for p in family))
    again = SupersetNode(tmp_path / "superset", tmp_path / "superset.log")
    assert again.password == password


def test_a_broken_data_folder_names_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "superset"
    folder.mkdir()
    (folder / "metadata.db").write_text("this is no database" * 100)
    with pytest.raises(Fatal, match="ended while starting") as caught:
        SupersetNode(folder, tmp_path / "superset.log").start()
    assert "superset.log" in str(caught.value.hint)


def test_failed_installation_names_cause_and_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said: list[str] = []
    half_made = superset_venv.superset_path() / "half-made"
    half_made.parent.mkdir(parents=True)
    half_made.touch()
    with pytest.raises(Fatal, match="cannot install Superset's packages") as caught:
        ensure_superset(said.append)
    assert "make setup" in str(caught.value.hint)
    assert "No matching distribution" in str(caught.value)
    assert said
    assert not half_made.exists()
    assert not superset_venv.is_ready(superset_venv.superset_path())


def test_the_lock_pins_names_only() -> None:
    text = (Path(superset_venv.__file__).parent / superset_venv.LOCK).read_text("utf-8")
    lines = text.splitlines()
    assert all(line.count("==") == 1 and not {"/", " ", "@", ":"} & set(line) for line in lines)
    pinned = dict(line.split("==") for line in lines)
    assert {"apache_superset", "clickhouse-connect", "gunicorn"} <= set(pinned)
    assert len(pinned) == len(lines)
