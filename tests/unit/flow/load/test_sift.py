"""A record of ours whose values ClickHouse refuses costs its own row alone: it is put aside, and the rest is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from support.watched import billing
from tokenmeter.events.contract import BILLING
from tokenmeter.events.errors import Fatal, Refused
from tokenmeter.flow.load import sift as sifting
from tokenmeter.flow.load.gate import InsertGate
from tokenmeter.flow.load.load import Loader
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.page import foreign
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.kafka.batch import RecordBatch, Run

TABLE = TABLES[BILLING][1]
EVIL = "evil"


class Store:
    """Refuses an insert that has a row of customer EVIL, as ClickHouse does: whole."""

    def __init__(self, by_row: bool = True, is_broken: bool = False) -> None:
        self.by_row, self.is_broken = by_row, is_broken
        self.customers: list[str] = []
        self.foreign: list[tuple[int, str, bytes]] = []

    def write(self, frames: Mapping[str, list[pl.DataFrame]]) -> None:
        for table, parts in frames.items():
            rows = pl.concat(parts)
            if table == foreign.TABLE:
                self.foreign += rows.select("offset", "reason", "value").rows()
            elif self.is_broken or EVIL in rows["customer_id"].to_list():
                raise Refused("cannot be converted", by_row=self.by_row)
            else:
                self.customers += rows["customer_id"].to_list()


def page(first_offset: int, customers: list[str]) -> tuple[Loader, list[bytes]]:
    """Of two batches."""
    values = [billing(1_764_000_000, customer, None, 1) for customer in customers]
    loader = Loader(BILLING, 3, lambda table, frame: None)
    for part in (values[:5], values[5:]):
        end = first_offset + len(part)
        loader.add(RecordBatch(BILLING, 3, first_offset, end, list(part), [Run(first_offset, len(part), 7)], 0))
        first_offset = end
    return loader, values


def close(loader: Loader, gate: InsertGate) -> None:
    loader.insert = gate.insert
    loader.close(PageBounds(BILLING, 3, 0, 1))


def test_the_refused_row_is_put_aside_with_its_bytes_and_place_and_its_neighbours_are_loaded() -> None:
    store = Store()
    names = [f"customer-{number}" for number in range(11)]
    names[2] = names[7] = EVIL
    loader, values = page(100, names)
    close(loader, InsertGate(store.write, window_s=0.001))
    assert {*store.customers} == {*names} - {EVIL}
    assert store.foreign == [(102, "refused", values[2]), (107, "refused", values[7])]
    loader.committed(PageBounds(BILLING, 3, 100, 111))
    close(loader, InsertGate(store.write, window_s=0.001))
    assert len(store.foreign) == 2, "the next page holds none of them"


def test_a_page_of_the_same_insert_is_not_blamed_for_another_pages_row() -> None:
    store = Store()
    gate = InsertGate(store.write, window_s=30, rows_max=12)
    spoilt, honest = (pl.concat(page(0, names)[0]._frames) for names in ([EVIL, *"abcde"], [*"uvwxyz"]))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(gate.insert, TABLE, frame) for frame in (honest, spoilt)]
        both[0].result(120)
        with pytest.raises(Refused):
            both[1].result(120)
    assert store.customers == [*"uvwxyz"]


def test_nothing_is_passed_over_where_the_table_or_the_loader_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls: else a table that was changed by hand would take nothing, and nobody would hear of it."""
    names = [*"abcdefg"]
    for store, customers in ((Store(is_broken=True), names), (Store(by_row=False), [EVIL, *names])):
        with pytest.raises(Refused):
            close(page(0, customers)[0], InsertGate(store.write, window_s=0.001))
        assert store.foreign == []
    monkeypatch.setattr(sifting, "REFUSED_ROWS_MAX", 3)
    store = Store()
    with pytest.raises(Refused):
        close(page(0, [EVIL] * 4)[0], InsertGate(store.write, window_s=0.001))
    assert issubclass(Refused, Fatal) and store.foreign == []
