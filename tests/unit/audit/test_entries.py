"""The audit of a page's CHARGE entries: it agrees with the meter's own, by columns and by records, and names what was
tampered with."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from support.charged_page import BOUNDS, ROWS, as_made, calls
from support.found_lines import side_by_side
from tokenmeter.audit.compare import Fact
from tokenmeter.audit.found import FoundLine, FoundLines
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.ledger import charged
from tokenmeter.audit.ledger.charged import Entries, facts, sums
from tokenmeter.audit.ledger.owed import parts_with_budgets
from tokenmeter.events import encode, wire
from tokenmeter.flow.columns import columnar_avro

PICO = Decimal(1).scaleb(-12)
Record = dict[str, Any]
Change = Callable[[list[Record]], None]


class Page:
    """A page as the topics have it."""

    def __init__(self, seed: int) -> None:
        lines, entries = as_made(calls(seed))
        place = {"partition": BOUNDS.partition, "first_offset": BOUNDS.first_offset, "last_offset": BOUNDS.last_offset}
        columns = [pl.lit(place[name]).alias(name) for name in ("partition", "first_offset")]
        self.billing = side_by_side(columnar_avro.encode("billing_line", lines.billing.with_columns(columns)))
        self.resale = side_by_side(columnar_avro.encode("resale_line", lines.resale.with_columns(columns)))
        self.entries = columnar_avro.encode("ledger_entry", entries)
        self.page = {**place, "ledger_entries": len(self.entries), "catalog_offset": len(ROWS)}
        self.parts = parts_with_budgets(list(enumerate(ROWS)), len(ROWS))

    def differences(self, entries: list[bytes]) -> list[Fact]:
        numbered = [FoundLine(wire.decode(value).record["line"], value, 0, at) for at, value in enumerate(entries)]
        compared = facts(Entries(self.page, FoundLines.of(numbered)), self.billing, self.resale, self.parts, Key())
        return [fact for fact in compared if fact[2] != fact[4]]

    def tampered(self, change: Change) -> list[Fact]:
        records = [wire.decode(value).record for value in self.entries]
        change(records)
        return self.differences([encode("ledger_entry", record) for record in records])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_columns", [True, False])
def test_the_meters_entries_are_what_the_lines_call_for(
    seed: int, by_columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(seed)
    asked: list[bool] = []
    real = charged._agree

    def agree(*arguments: Any) -> bool:
        asked.append(real(*arguments))
        return asked[-1] and by_columns

    monkeypatch.setattr(charged, "_agree", agree)
    assert page.differences(page.entries) == []
    assert asked == [True]


def first_of(scope: str | None) -> Callable[[list[Record]], Record]:
    return lambda records: next(one for one in records if one["scope"] == scope and one["amount"] is not None)


def another_amount(scope: str | None) -> Change:
    def change(records: list[Record]) -> None:
        first_of(scope)(records)["amount"] -= PICO

    return change


def another(field: str, value: Any, scope: str | None = None) -> Change:
    def change(records: list[Record]) -> None:
        first_of(scope)(records)[field] = value

    return change


def missing(records: list[Record]) -> None:
    del records[7]


def missing_and_renumbered(records: list[Record]) -> None:
    """As a meter would write them that forgot an entry."""
    del records[7]
    for number, record in enumerate(records):
        record |= {"line": number, "entry_id": f"usage.events/3/100/{number}"}


def doubled(records: list[Record]) -> None:
    records.append(records[7])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (missing, "entry 7"),
        (missing_and_renumbered, "entry"),
        (doubled, "entry 7"),
        (another_amount(None), "account cus_0 2025"),
        (another_amount("PROJECT"), "account cus_0 PROJECT prj_1"),
        (another_amount("KEY"), "account cus_3 KEY key_1"),
        (another_amount("MODEL"), "account cus_0 MODEL a/one"),
        (another("amount", None), "account cus_0"),
        (another("calls", 1_000), "account cus_0"),
        (another("provisional_amount", Decimal(-5)), "account cus_0"),
        (another("account_id", "cus_9"), "account cus_"),
        (another("currency", "EUR"), "account cus_0"),
        (another("last_offset", 5), "entry 0 last_offset"),
        (another("entry_id", "x"), "entry 0 entry_id"),
        (another("scope_id", "prj_2", "PROJECT"), "account cus_0 PROJECT"),
    ],
)
def test_the_first_entry_that_differs_is_named(change: Change, named: str) -> None:
    found = Page(0).tampered(change)
    assert found and named.split(" 2025")[0] in found[0][0], found[:2]


def test_a_value_that_is_no_entry_is_named() -> None:
    page = Page(0)
    numbered = [FoundLine(at, value, 0, at) for at, value in enumerate(page.entries)]
    numbered[3] = FoundLine(3, b"no entry", 0, 3)
    entries = Entries(page.page, FoundLines.of(numbered))
    compared = facts(entries, page.billing, page.resale, page.parts, Key())
    assert next(fact for fact in compared if fact[2] != fact[4])[0] == "entry 3"


def test_sums_are_the_same_by_columns_and_by_records(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(1)
    entries = Entries(page.page, side_by_side(page.entries))
    by_columns = sums(entries)
    monkeypatch.setattr(FoundLines, "walked", lambda lines, schema: None)
    assert sums(entries) == by_columns
    assert by_columns["entries"] == len(page.entries)
    assert by_columns["amount"] < 0
