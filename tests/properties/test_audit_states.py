"""The audit books random journals again and agrees with what the ledger made of them; whatever is changed is named.

The journals have repeats, conflicts, grants that expire, budgets of every window, corrections and voids.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from support.random_ledger import Journal, accounts, budgets
from tokenmeter.audit.blocks import Block
from tokenmeter.audit.compare import Difference
from tokenmeter.audit.ledger import account, book
from tokenmeter.audit.ledger.expiries import read_expiries
from tokenmeter.audit.ledger.stated import difference
from tokenmeter.audit.ledger.states import book_again, read_states
from tokenmeter.audit.ledger.windows import TermsBook
from tokenmeter.events import encode, wire
from tokenmeter.events.ledger import LedgerEntry
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import MemoryTerms

SEEDS = range(25)
ENTRIES = 150
ROWS = list(enumerate([*accounts(), *budgets()]))
TERMS = TermsBook(ROWS, dict.fromkeys(range(len(ROWS)), 0))

Entry = tuple[int, int, bytes]
"""(offset, broker time, value)"""


@dataclass
class Kept:
    """What the topics have: the journal, and the states that a ledger made of it."""

    entries: list[Entry]
    states: list[bytes]

    def difference(self) -> Difference | None:
        read, _ = read_states(iter([_block([(at, 0, value) for at, value in enumerate(self.states)])]))
        blocks = [_block(self.entries[begin : begin + 40]) for begin in range(0, len(self.entries), 40)]
        end = self.entries[-1][0] + 1
        books = book_again(iter(blocks), end, read, TERMS, read_expiries(value for _, _, value in self.entries))
        found = (
            difference(name, books.get(name), read.get(name), TERMS.accounts.get(name, []))
            for name in sorted({*books, *read})
        )
        return next((one for one in found if one is not None), None)


def _block(entries: list[Entry]) -> Block:
    offsets, times, values = zip(*entries, strict=True)
    return Block(values, np.array(offsets, np.int64), np.array(times, np.int64))


def kept(seed: int, repeats: bool = True) -> Kept:
    """A ledger over random pages, whose own entries for expiries come back through the log; it is restarted now and
    then."""
    chance = random.Random(seed)
    drawn = [(one, round(at.timestamp() * 1_000)) for one, at in Journal(chance).draw(ENTRIES)]
    if not repeats:
        seen = set[str]()
        drawn = [(one, at) for one, at in drawn if not (one.entry_id in seen or seen.add(one.entry_id))]
    ledger, states, entries, own = Ledger(MemoryTerms(accounts(), budgets())), dict[str, bytes](), [], list[bytes]()
    while drawn or own:
        size = chance.randint(1, 40)
        page = [(value, entries[-1][1]) for value in own] + [(one.to_value(), at) for one, at in drawn[:size]]
        del drawn[:size]
        first = len(entries)
        entries += [(first + number, at, value) for number, (value, at) in enumerate(page)]
        offsets = np.arange(first, len(entries))
        ledger.fold([value for value, _ in page], np.array([at for _, at in page]), offsets)
        own = [one.to_value() for one in ledger.expire()]
        states.update(zip(*ledger.close(len(entries)), strict=True))
        if chance.random() < 0.2:
            ledger = Ledger(MemoryTerms(accounts(), budgets()))
            ledger.restore(list(states.values()))
    return Kept(entries, list(states.values()))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_ledger_agrees_with_its_journal(seed: int) -> None:
    assert kept(seed).difference() is None


def test_charges_that_rise_are_added_up_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without repeats most entries take the columns' way; with them, whole blocks are booked singly."""
    summed: list[int] = []
    real = book.Book.charge

    def charge(self: book.Book, one: book.Charges) -> None:
        summed.append(one.entries)
        real(self, one)

    monkeypatch.setattr(book.Book, "charge", charge)
    for seed in range(5):
        assert kept(seed, repeats=False).difference() is None, seed
    assert sum(summed) > 200
    assert max(summed) > 2


def one_pico_more(name: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        state[name] += Decimal("1E-12") if isinstance(state[name], Decimal) else 1

    return change


def of_the_first(name: str, field: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        state[name][0][field] += Decimal("1E-12")

    return change


def forget_an_entry(state: dict[str, Any]) -> None:
    del state["entries"][-1]


FIELDS = ("version", "balance", "overdraft", "granted", "used", "unbilled", "billed_unpaid", "invoiced", "paid")
CHANGES = {
    **{name: one_pico_more(name) for name in (*FIELDS, "charged", "provisional", "calls", "unpriced", "credit")},
    "remaining": of_the_first("grants", "remaining"),
    "spent": of_the_first("windows", "spent"),
    "burn": of_the_first("burn", "charged"),
    "entries": forget_an_entry,
    "allowed": lambda state: state.update(allowed=not state["allowed"]),
    "reason": lambda state: state.update(reason="suspended"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_that_is_off_by_one_is_named(name: str) -> None:
    made = kept(3)
    for place, value in enumerate(made.states):
        state = wire.decode(value).record
        try:
            CHANGES[name](state)
        except (IndexError, TypeError):
            continue  # this account has none
        changed = Kept(made.entries, list(made.states))
        changed.states[place] = encode("account_state", state)
        found = changed.difference()
        assert found is not None
        assert found.page == f"account {state['account_id']}"
        assert name in (found.field.split(" ")[-1], "allowed") or name in found.field, found
        return
    raise AssertionError(f"no account has {name}")


def without(entries: list[Entry], place: int) -> list[Entry]:
    return [*entries[:place], *entries[place + 1 :]]


def another_amount(entries: list[Entry], place: int) -> list[Entry]:
    offset, at, value = entries[place]
    entry = LedgerEntry.model_validate(wire.decode(value).record)
    amount = (entry.amount or Decimal(0)) * 2 or Decimal(-1)
    return [
        *entries[:place],
        (offset, at, entry.model_copy(update={"amount": amount}).to_value()),
        *entries[place + 1 :],
    ]


@pytest.mark.parametrize("change", [without, another_amount])
def test_an_entry_that_is_missing_or_of_another_amount_is_found_by_its_account(
    change: Callable[[list[Entry], int], list[Entry]],
) -> None:
    found = 0
    for seed in range(4):
        made = kept(seed)
        counted = {one["entry_id"] for value in made.states for one in wire.decode(value).record["entries"]}
        for place, (_, _, value) in enumerate(made.entries):
            entry = wire.decode(value).record
            if entry["entry_id"] not in counted or entry["kind"] != "GRANT":
                continue
            differs = Kept(change(made.entries, place), made.states).difference()
            assert differs is not None, (seed, place)
            assert differs.page == f"account {entry['account_id']}"
            found += 1
            break
    assert found == 4


def draws_the_oldest_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(account.Credit, "_add", lambda self, grant: self.grants.append(grant))


def forgets_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(book.Book, "_has_counted", lambda self, entry: False)


@pytest.mark.parametrize("fault", [draws_the_oldest_first, forgets_ids])
def test_an_audit_with_a_fault_of_its_own_is_caught(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    assert any(kept(seed).difference() is not None for seed in SEEDS)
