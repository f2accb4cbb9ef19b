"""Fault (P03): ClickHouse, or who makes its totals, is killed while totals are made, ten times in a row. Invariant:
totals = recount, and a store that was killed often needs no more memory than at first.

The mutant notes that totals are made before it makes them; the same check must find what it leaves undone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from support.clickhouse import Server, migrated
from support.lines import all_buckets, load
from support.recount import wrong_totals
from tokenmeter.events.errors import Transient
from tokenmeter.store.client import connect
from tokenmeter.store.totals import SOURCES, Totals, days

BEFORE, DURING, AFTER = "before", "during", "after"
STORE_DIES = [(1, BEFORE), (2, DURING), (4, AFTER), (6, DURING), (9, DURING)]
MAKER_DIES = [(1, AFTER), (3, BEFORE), (5, AFTER), (7, AFTER), (8, BEFORE)]
"""(Which statement of a maker's, when)."""
MORE_MEMORY_MB = 200
"""Than the first store had at most, for any later one."""


class Killed(Exception):
    """The maker is no more."""


class Dying:
    """A client that runs statements until the ``number``-th, at which ``kill`` is called; then it is dead."""

    def __init__(self, client: Client, number: int, when: str, kill: Callable[[], None]) -> None:
        self._client, self._left, self._when, self._kill = client, number, when, kill

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def command(self, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left:
            return self._client.command(*args, **kwargs)
        killing = threading.Thread(target=self._kill)
        if self._when != AFTER:
            killing.start()
        if self._when == BEFORE:
            killing.join()
            raise Killed
        with suppress(ClickHouseError, OSError):
            self._client.command(*args, **kwargs)
        if self._when == AFTER:
            killing.start()
        killing.join()
        raise Killed


class NotesFirst(Totals):
    """The mutant."""

    def remake(self, source: str, day: int, buckets: list[int]) -> None:
        version = self._version()
        self._note([(source, bucket, 0, version) for bucket in buckets])
        self.make(source, day, buckets)


def peak_mb(server: Server) -> int:
    """The most memory the store has had since it started."""
    status = Path(f"/proc/{server.child.pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) >> 10


def make_due(totals: Totals) -> None:
    """What a loader does with all that is due."""
    pending = totals.pending()
    for source in SOURCES:
        for day, buckets in days(bucket for name, bucket in pending if name == source):
            totals.remake(source, day, buckets)


def die_often(server: Server, kind: type[Totals], deaths: list[tuple[str, int, str]]) -> list[str]:
    """What is wrong with the totals after one maker after another died, and a last one made what was due."""
    peaks = []
    for who, number, when in deaths:
        client = connect(server.url, "writer", "secret")
        Totals(client).touch(all_buckets(client))
        kill = server.child.kill if who == "store" else lambda: None
        peaks.append(peak_mb(server))
        with pytest.raises((Killed, Transient)):
            make_due(kind(Dying(client, number, when, kill)))  # type: ignore[arg-type]
        if who == "store":
            server.start()
    client = connect(server.url, "writer", "secret")
    make_due(kind(client))
    assert Totals(client).pending() == {}
    peaks.append(peak_mb(server))
    grown = [f"memory {peaks} MB"] if max(peaks) > peaks[0] + MORE_MEMORY_MB else []
    return [*wrong_totals(client), *grown]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with migrated(tmp_path) as made:
        load(connect(made.url, "writer", "secret"))
        yield made


def test_totals_are_the_recount_after_ten_kills_of_store_and_maker(server: Server) -> None:
    of_store = [("store", number, when) for number, when in STORE_DIES]
    of_maker = [("maker", number, when) for number, when in MAKER_DIES]
    deaths = [death for pair in zip(of_store, of_maker, strict=True) for death in pair]
    assert die_often(server, Totals, deaths) == []


def test_the_same_check_finds_totals_that_were_noted_before_they_were_made(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    Totals(client).touch(all_buckets(client))
    with pytest.raises(Killed):
        make_due(NotesFirst(Dying(client, 1, BEFORE, server.child.kill)))  # type: ignore[arg-type]
    server.start()
    client = connect(server.url, "writer", "secret")
    make_due(NotesFirst(client))
    assert wrong_totals(client)
