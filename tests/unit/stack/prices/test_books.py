"""What stands in the books: the findings of check, the demo's catalog, and a topic with a record that is no row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from support.catalog_rows import account, plan, price
from tokenmeter.emit.replay.catalogue import CHAT_MODELS, CODE_MODELS
from tokenmeter.emit.replay.generated import calls
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import SCHEMA_IDS_MAX
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.rate.matching import Call
from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.kafka.logreader import Wanted, any_value
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.check import BELOW_COST, NO_AUTHOR, TIE, UNREACHABLE, check
from tokenmeter.stack.prices.demo import DISTRIBUTOR, ITS_CUSTOMERS, RETAIL_CUSTOMERS, demo_rows
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Proposed
from tokenmeter.stack.prices.quote import quote_table
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.validate import problems

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def found(*rows: CatalogRow) -> list[tuple[str, str]]:
    return [(one.kind, one.detail) for one in check(Catalog().extended(rows), JUNE)]


def test_a_price_that_better_ones_cover_at_every_minute_is_unreachable() -> None:
    day, night = (
        {"window_start_minute": 480, "window_end_minute": 1200},
        {
            "window_start_minute": 1200,
            "window_end_minute": 480,
        },
    )
    assert [kind for kind, _ in found(price(), price(**day), price(**night))] == [UNREACHABLE]
    assert found(price(), price(**day)) == []
    assert found(price(), price(**day), price(**night, service_tier="flex")) == []
    weekend, weekdays = price(weekdays=0b110_0000), price(weekdays=0b001_1111)
    assert [kind for kind, _ in found(price(), weekend, weekdays)] == [UNREACHABLE]
    assert found(price(), price(**day), price(**night, effective_from=JUNE + timedelta(days=1))) == []


def test_a_book_that_no_plan_uses_is_told_once() -> None:
    lost = (price(book="special"), price("a/two", book="special"))
    assert found(*lost) == [(UNREACHABLE, "no plan uses book special (2 prices)")]
    assert found(*lost, plan("p", override_book="special")) == []


def test_a_model_without_an_author_is_told() -> None:
    assert [kind for kind, _ in found(price("gpt-x"))] == [NO_AUTHOR]
    assert found(price("*"), price("openai/*")) == []


def test_a_tie_that_was_written_all_the_same_is_told() -> None:
    assert [kind for kind, _ in found(price(weekdays=0b000_0011), price(weekdays=0b000_0110))] == [TIE]


def test_a_model_sold_below_its_cost_is_told_for_the_list_and_for_each_plan() -> None:
    cost = price(units=700, book="cost", provider="host")
    assert found(price(units=1000), cost) == []
    ((kind, detail),) = found(price(units=600), cost)
    assert (kind, "the list price is below: input_tokens 0.000000000600 < 0.000000000700" in detail) == (
        BELOW_COST,
        True,
    )
    cheap = plan("reseller", margin_ppm=-310_000)
    ((_, below),) = found(price(units=1000), cost, cheap)
    assert below.startswith("the plan reseller (list -31%) is below: ")
    assert found(price(units=1000), cost, plan("reseller", margin_ppm=-300_000)) == []
    assert found(price(units=600, currency="EUR"), cost) == []
    # Off-peak prices are held against off-peak costs, at the hours at which either changes.
    night = {"window_start_minute": 0, "window_end_minute": 60}
    cheap_nights = (price(units=800), price(units=400, **night), cost)
    assert [kind for kind, _ in found(*cheap_nights)] == [BELOW_COST]
    assert found(*cheap_nights, price(units=300, book="cost", provider="host", **night)) == []
    # A long-context cost is held against the long-context price.
    long_cost = price(units=1400, book="cost", provider="host", min_input_tokens=200_001)
    assert [kind for kind, _ in found(price(units=1000), cost, long_cost)] == [BELOW_COST]
    assert found(price(units=1000), price(units=2000, min_input_tokens=200_001), cost, long_cost) == []


def test_the_demos_catalog_keeps_every_rule_and_prices_every_call() -> None:
    rows = demo_rows()
    assert rows == demo_rows()
    assert problems(Catalog(), [Proposed(row, COMMAND_LINE) for row in rows]) == []
    catalog = Catalog().extended(rows)
    now = datetime.now(UTC)
    assert check(catalog, now) == []
    book = catalog.book()
    for event in calls(500, now - timedelta(days=1), timedelta(hours=20)):
        call = Call(event.customer_id, event.model, event.provider, event.variant, None, event.input_tokens)
        rating = book.rating(call, event.occurred_at)
        assert rating.price_id is not None
        assert rating.cost_price_id is not None
        assert [level.account_id for level in rating.levels] == [DISTRIBUTOR] * (event.customer_id in ITS_CUSTOMERS)
    for model, provider in {*CODE_MODELS, *CHAT_MODELS}:
        free = book.rating(Call("cus_0000", model, provider, "free"), now)
        assert free.price_id is not None
        assert set((book.units(free.price_id) or {}).values()) == {0}
        retail = book.rating(Call(RETAIL_CUSTOMERS[0], model, provider), now)
        assert retail.price_id == f"{retail.cost_price_id}*1055000"


def test_a_quote_tells_the_price_at_each_level() -> None:
    rows = (
        price(units=1_000_000),
        price(units=400_000, book="cost", provider="host"),
        plan("buy", base=None, margin_ppm=100_000),
        plan("off", margin_ppm=-300_000),
        account("top", "off"),
        account("leaf", "buy", "top"),
    )
    book = Catalog().extended(rows).book()
    table = quote_table(book, JUNE, "a/one", "host", "standard", None, 0, "leaf")
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert cells[0] == ["book cost", "book list", "leaf", "top"]
    assert cells[1] == ["", "", "buy", "off"]
    assert [cell.partition(",")[0] for cell in cells[2]] == ["input 0.4", "input 1", "input 0.77", "input 0.7"]
    assert cells[3][2].endswith("*700000*1100000")
    nothing = quote_table(book, JUNE, "b/none", None, "standard", None, 0, None)
    assert {str(cell) for cell in nothing.columns[2].cells} == {"unpriced"}


class Log:
    """The topic with these values."""

    def __init__(self, values: list[bytes]) -> None:
        self._values = values

    def partitions(self, topic: str) -> int:
        return 1

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        values: list[bytes | None] = list(self._values)
        size = sum(map(len, self._values))
        yield RecordBatch(topic, partition, 0, len(values), values, [Run(0, len(values), 0)], size)

    def end(self, topic: str, partition: int) -> int:
        return len(self._values)

    def last(
        self, topic: str, partition: int, before: int | None = None, wanted: Wanted = any_value
    ) -> tuple[int, int, bytes | None] | None:
        return None

    def offset_at(self, topic: str, partition: int, appended_at_ms: int) -> int | None:
        return None


def test_the_topic_is_read_with_its_offsets_and_a_strange_record_passed_over() -> None:
    rows = demo_rows()
    catalog = read_catalog(Log([row.to_value() for row in rows]))
    assert catalog.rows == tuple(enumerate(rows))
    assert catalog.catalog_offset == len(rows)
    strange = read_catalog(Log([b"noise", rows[0].to_value()]))
    assert (strange.rows, strange.catalog_offset) == (((1, rows[0]),), 2)
    newer = b"\x00" + SCHEMA_IDS_MAX.to_bytes(4, "big")
    with pytest.raises(Fatal, match="catalog/0 offset 1 was written by a newer tokenmeter"):
        read_catalog(Log([rows[0].to_value(), newer]))
