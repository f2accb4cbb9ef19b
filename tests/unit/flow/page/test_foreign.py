"""A record that is none of ours on a topic of ours costs nobody anything: it is put aside and passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from support.ledger_desk import Desk, prepaid
from support.topic_log import TopicLog
from tokenmeter.events import wire
from tokenmeter.events.catalog import row_or_foreign
from tokenmeter.events.contract import BILLING, EVENTS, LEDGER, SCHEMA_IDS_MAX
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.ledger.restore import accounts_of
from tokenmeter.flow.load.load import Loader
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.meter.recover import is_a_page
from tokenmeter.flow.page import foreign
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.watch import feed_billing
from tokenmeter.flow.watch.checkpoint import newest
from tokenmeter.kafka.batch import RecordBatch, Run

EVIL = b"evil"
NEWER = b"\x00" + (SCHEMA_IDS_MAX).to_bytes(4, "big") + b"of a later version"
STRANGE_ID = b"\x00" + (SCHEMA_IDS_MAX + 1).to_bytes(4, "big") + b"another company's registry"
OURS_ELSEWHERE = wire.prefix(wire.latest("usage_event")) + b"xxxx"


class Inserts:
    """What a loader inserted, by table."""

    def __init__(self) -> None:
        self.frames: dict[str, list[pl.DataFrame]] = {}

    def __call__(self, table: str, frame: pl.DataFrame) -> None:
        self.frames.setdefault(table, []).append(frame)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [row for frame in self.frames.get(table, ()) for row in frame.iter_rows(named=True)]


def entries() -> list[bytes]:
    desk = Desk(prepaid("a"))
    for _ in range(30):
        desk.spend(1, "a")
    return [one.to_value() for one in desk.entries]


def load(topic: str, values: list[bytes | None], loader: Loader) -> None:
    batch = RecordBatch(topic, 3, 100, 100 + len(values), list(values), [Run(100, len(values), 7_000)], 0)
    loader.add(batch)
    bounds = PageBounds(topic, 3, 100, 100 + len(values))
    loader.close(bounds)
    loader.committed(bounds)


@pytest.mark.parametrize("topic", [topic for topic in TABLES if topic != EVENTS])
@pytest.mark.parametrize("value", [EVIL, b"", None, STRANGE_ID, OURS_ELSEWHERE])
def test_the_loader_puts_a_strangers_record_aside_with_its_bytes_and_place(topic: str, value: bytes | None) -> None:
    inserts = Inserts()
    load(topic, [value], Loader(topic, 3, inserts))
    (row,) = inserts.rows(foreign.TABLE)
    assert (row["topic"], row["partition"], row["offset"], row["value"]) == (topic, 3, 100, value or b"")
    assert row["reason"] in ("magic", "truncated", "empty", "schema") and row["appended_at"].timestamp() == 7
    assert inserts.rows(TABLES[topic][1]) == []


def test_its_neighbours_are_loaded_as_without_it() -> None:
    honest, spoilt = Inserts(), Inserts()
    values: list[bytes | None] = [*entries()]
    load(LEDGER, values, Loader(LEDGER, 3, honest))
    load(LEDGER, [values[0], EVIL, *values[1:], values[0][:-1]], Loader(LEDGER, 3, spoilt))
    assert spoilt.rows(TABLES[LEDGER][1]) == honest.rows(TABLES[LEDGER][1]) != []
    assert [(row["offset"], row["value"]) for row in spoilt.rows(foreign.TABLE)] == [
        (101, EVIL),
        (100 + len(values) + 1, values[0][:-1]),  # type: ignore[index]
    ]


def test_a_page_after_one_with_strangers_holds_none_of_them() -> None:
    inserts = Inserts()
    loader = Loader(BILLING, 3, inserts)
    load(BILLING, [EVIL], loader)
    load(BILLING, [EVIL], loader)
    assert [frame.height for frame in inserts.frames[foreign.TABLE]] == [1, 1]


def test_what_a_later_tokenmeter_wrote_is_never_passed_over() -> None:
    """The control: who took it for a stranger's would lose lines while an upgrade rolls out."""
    inserts = Inserts()
    with pytest.raises(Fatal, match="newer tokenmeter"):
        load(BILLING, [EVIL, NEWER], Loader(BILLING, 3, inserts))
    assert inserts.frames == {}
    with pytest.raises(Fatal, match="newer tokenmeter"):
        accounts_of([NEWER])
    with pytest.raises(Poison):
        row_or_foreign(NEWER)
    with pytest.raises(Poison):
        is_a_page(NEWER)


def test_the_catalog_and_the_chain_of_pages_pass_a_stranger_over() -> None:
    for value in (EVIL, None, STRANGE_ID, OURS_ELSEWHERE):
        assert isinstance(row_or_foreign(value), Poison)
        assert not is_a_page(value)


def test_a_ledger_restores_its_accounts_from_among_strangers_and_tells_of_them() -> None:
    desk = Desk(prepaid("a"))
    desk.spend(5, "a")
    desk.restart()
    state = desk.states["a"]
    accounts, next_offset, rejected = accounts_of([EVIL, state, STRANGE_ID])
    assert [one.account_id for one in accounts] == ["a"]
    assert next_offset == decode([state], "account_state").frame["next_offset"][0]
    assert [(bad.index, bad.reason) for bad in rejected] == [(0, "truncated"), (2, "schema")]


def test_a_watch_finds_its_checkpoint_behind_strangers() -> None:
    class Strange(TopicLog):
        def end(self, topic: str, partition: int) -> int:
            return 2

        def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
            yield RecordBatch(topic, partition, 0, 2, [EVIL, None], [Run(0, 2, 0)], 0)

    assert newest(Strange(), feed_billing.FEED, 0) is None
