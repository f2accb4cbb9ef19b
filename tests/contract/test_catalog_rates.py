"""Raters by the catalog on real Kafka: what was committed is known at once, what was not never; an import is all or
nothing; another writer's record stops the worker and is named."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from support.broker import broker, eventually
from support.catalog_rows import LONG_AGO, account, price
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.rate.catalog import CatalogRates
from tokenmeter.flow.rate.matching import Call
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.stack.topics import ensure_topics

CALL = Call("somebody", "a/one", "p1")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("kafka")) as node:
        yield node.bootstrap


@pytest.fixture
def bootstrap(kafka: str) -> Iterator[str]:
    """With an empty catalog."""
    yield kafka
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([CATALOG])[CATALOG].result(30)

    def is_made() -> bool:
        ensure_topics({"bootstrap.servers": kafka}, 2)
        return CATALOG in admin.list_topics(timeout=10).topics

    eventually("the catalog is made again", is_made)


@pytest.fixture
def rates(bootstrap: str) -> Iterator[CatalogRates]:
    made = CatalogRates({"bootstrap.servers": bootstrap})
    yield made
    made.close()


class Import:
    """A transaction of rows on the catalog."""

    def __init__(self, bootstrap: str, name: str = "import") -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
        self._producer.init_transactions(30)

    def begin(self, *rows: CatalogRow) -> None:
        self._producer.begin_transaction()
        for row in rows:
            self._producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
        assert self._producer.flush(30) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(30)

    def abort(self) -> None:
        self._producer.abort_transaction(30)

    def all(self, *rows: CatalogRow) -> None:
        self.begin(*rows)
        self.commit()


def current(rates: CatalogRates) -> BookRater:
    rater = rates.current()
    assert isinstance(rater, BookRater)
    return rater


def priced(rates: CatalogRates, at: datetime = LONG_AGO) -> str | None:
    return current(rates).book.rating(CALL, at).price_id


def test_what_was_committed_is_known_and_the_same_catalog_is_the_same_rater(
    bootstrap: str, rates: CatalogRates
) -> None:
    empty = rates.current()
    assert (empty.catalog_offset, empty) == (0, rates.current())
    first, second = price(units=1), price(units=2)
    writer = Import(bootstrap)
    writer.all(first)
    eventually("the first row is known", lambda: priced(rates) == first.row_id)
    one = rates.current()
    assert one is rates.current()
    writer.all(second, account("x"))
    eventually("the second is", lambda: priced(rates) == second.row_id)
    assert one.catalog_offset < rates.current().catalog_offset
    assert one is not rates.current()


def test_an_open_import_is_unknown_and_an_aborted_one_stays_so(bootstrap: str, rates: CatalogRates) -> None:
    first, never, last = price(units=1), price(units=2), price(units=3)
    writer = Import(bootstrap)
    writer.all(first)
    eventually("the first row is known", lambda: priced(rates) == first.row_id)
    writer.begin(*(price(units=n) for n in range(10, 3_000)), never)
    for _ in range(3):
        assert priced(rates) == first.row_id
    before = rates.current().catalog_offset
    writer.abort()
    # Nothing but aborted records and a marker: no row comes, and the position passes them all the same.
    eventually("the aborted rows are passed", lambda: rates.current().catalog_offset > before + 2_990)
    assert priced(rates) == first.row_id
    writer.all(last)
    eventually("the last row is known", lambda: priced(rates) == last.row_id)


def test_a_rater_knows_a_whole_import_or_nothing_of_it(bootstrap: str, rates: CatalogRates) -> None:
    """Rows of one import name its number; a reader that looks all the while must never see them differ."""
    models = [f"a/{number}" for number in range(50)]
    writer = Import(bootstrap)
    with ThreadPoolExecutor(1) as threads:
        imports = threads.submit(
            lambda: [writer.all(*(price(model, units) for model in models)) for units in range(1, 40)]
        )
        seen: set[Any] = set()
        while not imports.done() or 39 not in seen:
            book = current(rates).book
            ids = [book.rating(Call("c", model, "p"), LONG_AGO).price_id for model in models]
            units = {one and (book.units(one) or {})["input_tokens"] for one in ids}
            assert len(units) == 1
            seen |= units
            if imports.done():
                imports.result()
    assert len(seen) > 2


def test_a_second_worker_reads_it_all_and_threads_share_one(bootstrap: str) -> None:
    rows = [price(f"a/{number}", number) for number in range(3_000)]
    writer = Import(bootstrap)
    writer.all(*rows[:1_500])
    writer.all(*rows[1_500:])
    rates = CatalogRates({"bootstrap.servers": bootstrap})

    def all_known() -> bool:
        with ThreadPoolExecutor(4) as threads:
            raters = list(threads.map(lambda _: current(rates), range(8)))
        return all(rater.book.price(row.row_id) for rater in raters for row in rows)

    eventually("all rows are known", all_known)
    rates.close()


def test_what_is_no_row_is_passed_over_and_counted(bootstrap: str, rates: CatalogRates) -> None:
    Import(bootstrap).all(price())
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(CATALOG, b"{}", partition=0)
    producer.flush(30)
    eventually("the foreign record is met", lambda: rates.current().catalog_offset > 2)
    assert rates.foreign == 1
    Import(bootstrap).all(price(units=3))
    eventually("the row behind it is known", lambda: rates.current().catalog_offset > 3)


def test_a_catalog_made_again_or_cut_is_told(bootstrap: str, rates: CatalogRates) -> None:
    Import(bootstrap).all(price(), price(units=2))
    eventually("the rows are known", lambda: rates.current().catalog_offset == 3)
    admin, cut = AdminClient({"bootstrap.servers": bootstrap}), TopicPartition(CATALOG, 0, 1)
    admin.delete_records([cut])[cut].result(30)
    with pytest.raises(Fatal, match="1 rows were deleted"):
        eventually("the cut is seen", lambda: rates.current() is None)


def test_no_broker_ends_with_a_hint() -> None:
    rates = CatalogRates({"bootstrap.servers": "127.0.0.1:1"}, stall_s=0.5)
    with pytest.raises(Fatal, match="next: tokenmeter topics"):
        rates.current()
    rates.close()
