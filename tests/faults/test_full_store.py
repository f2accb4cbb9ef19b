"""The store's disk is full: no insert is answered as stored, each says that it may be sent again, and then it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tenacity import stop_after_attempt

from support.clickhouse import Server
from support.disk import fill, free, small_disk
from tokenmeter.events.errors import Transient
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow

PAGES, ROWS = 12, 50
once = insert_arrow.retry_with(stop=stop_after_attempt(1))  # type: ignore[attr-defined]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    with small_disk(folder) as mounted:
        if not mounted:
            pytest.skip("a small disk of its own takes a superuser to mount")
        yield folder


def test_what_a_full_disk_does_not_take_is_sent_again(disk: Path) -> None:
    server = Server(disk)
    server.start()
    try:
        client = connect(server.url, "writer", "secret")
        client.command("CREATE TABLE pages (page Int64, row Int64) ENGINE = MergeTree ORDER BY (page, row)")
        told = dict.fromkeys(range(PAGES), False)
        for page in told:
            if page == PAGES // 3:
                fill(disk)
            if page == 2 * PAGES // 3:
                free(disk)
            rows = pl.DataFrame({"page": [page] * ROWS, "row": range(ROWS)}).to_arrow()
            try:
                once(client, "pages", rows)
                told[page] = True
            except Transient:
                pass
        stored = client.query("SELECT page, uniqExact(row) FROM pages GROUP BY page ORDER BY page").result_rows
        assert stored == [(page, ROWS) for page in told if told[page]]
        assert [page for page in told if not told[page]] == list(range(PAGES // 3, 2 * PAGES // 3))
    finally:
        server.child.kill()
