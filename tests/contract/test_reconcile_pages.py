"""The raw events of a page as reconcile and rerate read them from the embedded ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from support.clickhouse import migrated
from support.events import NOW, value
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.ops.reconcile.pages import Filter, Place, raw_events
from tokenmeter.ops.reconcile.sources import Store
from tokenmeter.ops.rerate import Options
from tokenmeter.ops.rerate import run as running
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow

PAGES = [Place(0, 0, 9, 0), Place(0, 10, 19, 0), Place(0, 20, 29, 0)]
YESTERDAY = NOW - timedelta(days=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with migrated(tmp_path_factory.mktemp("store")) as server:
        client = connect(server.url, "writer", "secret")
        insert(client, [(0, 1, {}), (9, 2, {"customer_id": "c"}), (10, 3, {}), (20, 4, {})])
        # A copy beyond the horizon that says another day, and one as it was: neither is a raw event of its page.
        insert(client, [(11, 1, {"occurred_at": YESTERDAY}), (12, 2, {"customer_id": "c"})])
        yield Store(client)


def insert(client: object, rows: list[tuple[int, int, dict[str, object]]]) -> None:
    frame = decode([value(number, **fields) for _, number, fields in rows]).frame.drop(INDEX)
    placed = frame.with_columns(
        pl.lit(0, pl.Int32).alias("partition"),
        pl.Series("offset", [offset for offset, _, _ in rows], pl.Int64),
        pl.lit(datetime.now(UTC)).dt.cast_time_unit("ms").alias("appended_at"),
    )
    insert_arrow(client, "tokenmeter.usage_events", placed.to_arrow(compat_level=pl.CompatLevel.oldest()))  # type: ignore[arg-type]


def places(frame: pl.DataFrame) -> list[int]:
    return sorted(frame["first_offset"].to_list())


def test_an_event_lies_on_the_page_of_its_first_copy(store: Store) -> None:
    assert places(raw_events(store, PAGES)) == [0, 0, 10, 20]
    assert places(raw_events(store, PAGES[1:2])) == [10]
    assert raw_events(store, PAGES[:1], Filter(customers=("c",)))["events"].to_list() == [1]


def test_a_copy_that_says_another_day_is_no_raw_event_of_that_day(store: Store) -> None:
    day = Filter(YESTERDAY - timedelta(hours=1), YESTERDAY + timedelta(hours=1))
    assert raw_events(store, PAGES, day).height == 0


def test_no_rows_are_a_frame_of_the_same_columns(store: Store) -> None:
    some, none = raw_events(store, PAGES), raw_events(store, PAGES, Filter(customers=("nobody",)))
    assert (none.height, none.schema) == (0, some.schema)


def test_a_page_that_is_metered_meanwhile_is_not_re_rated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["partition", "first_offset", "last_offset", "closed_at", "events"]
    rows = [[0, page.first_offset, page.last_offset, NOW, 1] for page in PAGES]
    store.client.insert("tokenmeter.usage_pages", rows, column_names=names)
    names = ["partition", "first_offset", "line", "customer_id", "occurred_hour", "events"]
    rows = [[0, page.first_offset, 0, "c", NOW, 1] for page in PAGES]
    store.client.insert("tokenmeter.usage_billing", rows, column_names=names)
    monkeypatch.setattr(running, "Books", lambda log: SimpleNamespace(end=0, at=lambda offset: None))
    one = running._Run(Options({}, store.client), NOW, {0: 20})
    assert [row["first_offset"] for row in one.pages()] == [0, 10]
    assert [row["first_offset"] for row in one.pages({(0, 10)})] == [10]
