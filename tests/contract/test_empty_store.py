"""A new store begins with a copy that has every table, with its words and without a row; what is there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clickhouse import Server
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.stack import cached, empty_store
from tokenmeter.store import comments
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate


def test_a_copy_has_every_table_and_no_row_and_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        empty_store.begin(tmp_path / name / "data")
        monkeypatch.setattr(empty_store, "made_by", lambda *_: pytest.fail("it is made once"))
    server = Server(tmp_path / "two")
    server.start()
    try:
        client = connect(server.url, "writer", "secret")
        assert migrate(client) == []
        assert comments.explain(client) == 0
        rows = {
            table: client.query(f"SELECT count() FROM tokenmeter.{table}").result_rows for _, table in TABLES.values()
        }
        assert rows == {table: [(0,)] for table in rows}
    finally:
        server.child.kill()


def test_what_is_there_stays_and_where_nothing_can_be_copied_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept").touch()
    said: list[str] = []
    empty_store.begin(tmp_path / "data", said.append)
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["kept"] and said == []

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached.shutil, "copytree", full)
    empty_store.begin(tmp_path / "other", said.append)
    assert not (tmp_path / "other").exists()
    assert said == ["an empty store cannot be copied, its tables are made here: [Errno 28] No space left on device"]
