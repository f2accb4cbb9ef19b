"""CHARGE entries of a page against a slow mutant: each account and budget owes the sum of its calls, once."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from typing import Any

import pytest

from support.catalog_rows import book
from support.charged_page import CURRENCY, ROWS, WRITTEN, as_made, calls
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent, wire
from tokenmeter.events.catalog import Budget
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.flow.columns import columnar_avro
from tokenmeter.flow.meter.entries import entries
from tokenmeter.flow.meter.lines import end_users, lines
from tokenmeter.flow.rate.rater import BookRater

COLUMNS = {"PROJECT": "project_id", "KEY": "api_key_id", "MODEL": "model", "END_USER": "end_user_id"}


def by_hand(events: list[UsageEvent]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """One call at a time, by the contract's page."""
    charges = Charges(enumerate(ROWS))
    found: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(
        lambda: {"calls": 0, "errors": 0, "input_tokens": 0, "output_tokens": 0, "unpriced": 0, "amount": None}
    )
    budgets = {(row.account_id, str(row.scope), row.scope_id) for row in ROWS if isinstance(row, Budget)}
    for one in events:
        rating = charges.rating_of_event(one.to_record())
        failed = one.status >= 400 or one.error_class is not None
        counts = {"events": 1, "errors": int(failed), **{name: getattr(one, name) for name in QUANTITY_FIELDS}}
        day = one.occurred_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        levels = [(one.customer_id, rating.price_id), *((lv.account_id, lv.price_id) for lv in rating.levels)]
        for level, (name, price_id) in enumerate(levels):
            currency = charges.currency(price_id) or CURRENCY.get(name, "USD")
            scopes: list[tuple[str | None, str | None]] = [(None, None)]
            for scope, column in COLUMNS.items():
                if (level == 0 or scope == "MODEL") and (name, scope, getattr(one, column)) in budgets:
                    scopes.append((scope, getattr(one, column)))
            for scope_of, scope_id in scopes:
                entry = found[name, scope_of, scope_id, day, level, currency]
                amount = charges.charge(price_id, counts)
                entry["calls"] += 1
                entry["errors"] += int(failed)
                entry["input_tokens"] += one.input_tokens
                entry["output_tokens"] += one.output_tokens
                entry["unpriced"] += amount is None
                if amount is not None:
                    entry["amount"] = (entry["amount"] or 0) - amount
    return dict(found)


@pytest.mark.parametrize("seed", range(4))
def test_an_account_and_a_budget_owe_the_sum_of_their_calls(seed: int) -> None:
    events = calls(seed)
    wanted, made = by_hand(events), as_made(events)[1]
    names = ("account_id", "scope", "scope_id", "occurred_day", "level", "currency")
    found = {tuple(row[name] for name in names): row for row in made.iter_rows(named=True)}
    assert found.keys() == wanted.keys()
    assert len(found) == made.height > 40
    for key, entry in wanted.items():
        assert {name: found[key][name] for name in entry} == entry, key


def test_entries_are_numbered_in_order_and_can_be_written() -> None:
    made = as_made(calls(1))[1]
    assert made["line"].to_list() == list(range(made.height))
    assert made["entry_id"][7] == "usage.events/3/100/7"
    records = [wire.decode(value).record for value in columnar_avro.encode("ledger_entry", made)]
    assert [record["line"] for record in records] == list(range(made.height))
    assert {record["kind"] for record in records} == {"CHARGE"}
    assert {(record["first_offset"], record["last_offset"]) for record in records} == {(100, 899)}
    provisional = [record for record in records if record["provisional_amount"] is not None]
    assert provisional and all(record["provisional_amount"] >= record["amount"] for record in provisional)


def test_the_same_check_finds_a_budget_that_is_charged_twice() -> None:
    events = calls(2)
    doubled = as_made([*events, events[0]])[1]
    wanted = by_hand(events)
    assert sum(doubled["calls"]) != sum(entry["calls"] for entry in wanted.values())


def test_a_page_without_lines_has_no_entries() -> None:
    rater = BookRater(book(*ROWS))
    assert entries(lines([], [], rater), end_users([], rater), rater, WRITTEN).height == 0
