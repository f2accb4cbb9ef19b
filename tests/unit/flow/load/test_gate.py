"""The insert gate: many pages, one insert a table, and no page answered before its rows are durable."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from support.broker import eventually
from tokenmeter.events.errors import Transient
from tokenmeter.flow.load.gate import InsertGate

TABLES = ("usage_events", "usage_billing", "usage_market", "usage_pages", "quarantine")
PARTITIONS = 64
NEVER_S = 30.0


def page(partition: int, rows: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"partition": [partition] * rows})


class Disk:
    """Remembers each write; ``hold`` keeps the next one from ending."""

    def __init__(self) -> None:
        self.inserts: list[tuple[str, int]] = []
        self.rows: dict[str, list[int]] = {}
        self.free = threading.Event()
        self.free.set()
        self.began = threading.Event()

    def write(self, frames: Mapping[str, list[pl.DataFrame]]) -> None:
        self.began.set()
        assert self.free.wait(NEVER_S)
        for table, parts in frames.items():
            self.inserts.append((table, len(parts)))
            self.rows.setdefault(table, []).extend(pl.concat(parts)["partition"])


def insert_all(gate: InsertGate) -> None:
    """Every partition of every topic closes a page at the same moment."""
    together = threading.Barrier(PARTITIONS * len(TABLES))

    def close(table: str, partition: int) -> None:
        together.wait(NEVER_S)
        gate.insert(table, page(partition))

    with ThreadPoolExecutor(PARTITIONS * len(TABLES)) as pool:
        for done in [pool.submit(close, table, p) for table in TABLES for p in range(PARTITIONS)]:
            done.result(NEVER_S)


def test_64_partitions_of_5_topics_make_one_insert_a_table() -> None:
    disk = Disk()
    insert_all(InsertGate(disk.write, window_s=NEVER_S, rows_max=PARTITIONS * len(TABLES)))
    assert sorted(disk.inserts) == sorted((table, PARTITIONS) for table in TABLES)
    assert all(sorted(rows) == list(range(PARTITIONS)) for rows in disk.rows.values())


def test_without_a_gate_they_make_320() -> None:
    """The control: the same check on pages that never wait for each other."""
    disk = Disk()
    insert_all(InsertGate(disk.write, window_s=NEVER_S, rows_max=1))
    assert len(disk.inserts) == PARTITIONS * len(TABLES)


def test_a_lone_page_waits_no_longer_than_the_window() -> None:
    disk = Disk()
    InsertGate(disk.write, window_s=0.01).insert("usage_events", page(0))
    assert disk.inserts == [("usage_events", 1)]


def test_a_page_is_answered_only_when_its_rows_are_written_and_later_ones_gather_meanwhile() -> None:
    disk = Disk()
    disk.free.clear()
    gate = InsertGate(disk.write, window_s=0.01)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(gate.insert, "usage_events", page(0))
        assert disk.began.wait(NEVER_S)
        others = [pool.submit(gate.insert, "usage_events", page(number)) for number in (1, 2)]
        eventually("both wait", lambda: gate._open is not None and gate._open.rows == 2)
        assert not any(waiting.done() for waiting in (first, *others)), "nothing is written yet"
        disk.free.set()
        for waiting in (first, *others):
            waiting.result(NEVER_S)
    assert disk.inserts == [("usage_events", 1), ("usage_events", 2)]


def test_a_write_that_fails_fails_every_page_of_its_batch_and_no_other() -> None:
    calls = []

    def write(frames: Mapping[str, list[pl.DataFrame]]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Transient("away")

    gate = InsertGate(write, window_s=NEVER_S, rows_max=2)
    with ThreadPoolExecutor(2) as pool:
        failed = [pool.submit(gate.insert, "usage_events", page(number)) for number in (0, 1)]
        for one in failed:
            with pytest.raises(Transient):
                one.result(NEVER_S)
    gate.insert("usage_events", page(2, rows=2))
    assert len(calls) == 2
