"""What each account owes for a page, record by record: by the page's lines, and by its CHARGE entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tokenmeter.events.catalog import Budget
from tokenmeter.events.catalog_row import BudgetScope, CatalogRow
from tokenmeter.events.contract import BILLING, LEDGER, RESALE
from tokenmeter.events.rating import amount, pico

SCOPES: Mapping[str, str] = {
    BudgetScope.PROJECT: "project_id",
    BudgetScope.KEY: "api_key_id",
    BudgetScope.MODEL: "model",
}
"""The column of a line that a budget's part of an account is named in."""
COUNTS: Mapping[str, str] = {
    "calls": "events",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
}
"""Counts of an entry, and what they are called on a line."""

Part = tuple[str, str, str]
"""(account_id, scope, scope_id)"""
Key = tuple[str, str | None, str | None, int, datetime]
"""(account_id, scope, scope_id, level, UTC day)"""


@dataclass
class Figures:
    """Amounts in pico-units by currency; a currency is there only if something was priced in it."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*COUNTS, "unpriced"), 0))
    charge: dict[str, int] = field(default_factory=dict)
    provisional: dict[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """By name, amounts in units of their currency."""
        money = {f"charge {name}": amount(value) for name, value in self.charge.items()}
        return {**money, **{f"provisional {name}": amount(value) for name, value in self.provisional.items()}} | {
            **self.counts
        }


Owed = dict[Key, Figures]


def parts_with_budgets(rows: Iterable[tuple[int, CatalogRow]], x: int) -> set[Part]:
    """The parts of accounts that have an entry of their own on a page rated by the rows below offset ``x``: whatever
    budget there has ever been."""
    return {
        (row.account_id, str(row.scope), row.scope_id)
        for offset, row in rows
        if offset < x and isinstance(row, Budget) and row.scope != BudgetScope.ACCOUNT
    }


def by_lines(billing: Iterable[Mapping[str, Any]], resale: Iterable[Mapping[str, Any]], parts: set[Part]) -> Owed:
    """What the lines of a page call for."""
    owed: Owed = {}
    for line in billing:
        own = {**line, "account_id": line["customer_id"], "level": 0}
        for scope, column in ((None, None), *SCOPES.items()):
            _add_line(owed, own, scope, None if column is None else line[column], parts)
    for line in resale:
        for scope, scope_id in ((None, None), (BudgetScope.MODEL, line["model"])):
            _add_line(owed, line, scope, scope_id, parts)
    return owed


def _add_line(owed: Owed, line: Mapping[str, Any], scope: str | None, scope_id: str | None, parts: set[Part]) -> None:
    account_id = line["account_id"]
    if scope is not None and (scope_id is None or (account_id, str(scope), scope_id) not in parts):
        return
    day = line["occurred_hour"].astimezone(UTC).replace(hour=0)
    key = (account_id, None if scope is None else str(scope), scope_id, line["level"], day)
    figures = owed.setdefault(key, Figures())
    for name, column in COUNTS.items():
        figures.counts[name] += line[column]
    if line["charge"] is None:
        figures.counts["unpriced"] += line["events"]
        return
    _earn(figures.charge, line["currency"], pico(line["charge"]))
    if line["provisional"]:
        _earn(figures.provisional, line["currency"], pico(line["charge"]))


def by_entries(entries: Iterable[Mapping[str, Any]]) -> Owed:
    """What CHARGE entries say, but for those of end users' budgets."""
    owed: Owed = {}
    for entry in entries:
        if entry["scope"] == BudgetScope.END_USER:
            continue
        day = entry["occurred_day"].astimezone(UTC)
        key = (entry["account_id"], entry["scope"], entry["scope_id"], entry["level"], day)
        figures = owed.setdefault(key, Figures())
        for name in figures.counts:
            figures.counts[name] += entry[name]
        for name, into in (("amount", figures.charge), ("provisional_amount", figures.provisional)):
            if entry[name] is not None:
                _earn(into, entry["currency"], -pico(entry[name]))
    return owed


def _earn(by_currency: dict[str, int], currency: str, amount_pico: int) -> None:
    by_currency[currency] = by_currency.get(currency, 0) + amount_pico


def differing(lines: Owed, entries: Owed) -> Iterator[tuple[str, str, Any, str, Any]]:
    """(field, place, expected, place, found) of every figure, accounts in order. What is not there is None."""
    nothing: dict[str, Any] = {}
    for key in sorted({*lines, *entries}, key=lambda one: tuple((part is not None, part) for part in one)):
        account_id, scope, scope_id, level, day = key
        of = f"account {account_id}" if scope is None else f"account {account_id} {scope} {scope_id}"
        expected = lines[key].facts() if key in lines else nothing
        found = entries[key].facts() if key in entries else nothing
        for name in dict.fromkeys((*expected, *found)):
            place = RESALE if level else BILLING
            yield f"{of} {day:%Y-%m-%d} {name}", place, expected.get(name), LEDGER, found.get(name)
