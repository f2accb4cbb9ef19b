"""Random entries in random page cuts give the states, alerts and drawdown of a slow reference, restarts included.

The controls are ledgers with one fault each; the same test must catch every one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from support.ledger_reference import Reference, Told
from support.random_ledger import Journal, accounts, budgets
from support.seeds import seeds
from tokenmeter.events import wire
from tokenmeter.events.ledger import Alert, LedgerEntry
from tokenmeter.events.rating import pico
from tokenmeter.flow.ledger import check, drawdown, fits, fold, lines, post
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import MemoryTerms

SEEDS, SEEDS_OFTEN = 40, 16
CONTROL_SEEDS = 60
ENTRIES = 120
TERMS = MemoryTerms(accounts(), budgets())

Drawn = list[tuple[LedgerEntry, datetime]]
States = dict[str, bytes]


def told_by_columns(chance: random.Random, drawn: Drawn) -> tuple[list[Alert], States]:
    """The ledger over random pages of random batches; now and then it is restarted from its states."""
    ledger, states, told, at = Ledger(TERMS), States(), list[Alert](), 0
    longest = chance.choice((1, 4, 30, 200))
    while at < len(drawn):
        page = drawn[at : at + chance.randint(1, longest)]
        values = [entry.to_value() for entry, _ in page]
        times = np.array([round(when.timestamp() * 1_000) for _, when in page])
        alerts, rejected = ledger.fold(values, times, np.arange(at, at + len(page)))
        assert not rejected
        told += alerts
        at += len(page)
        if chance.random() < 0.5:
            states.update(zip(*ledger.close(at), strict=True))
            if chance.random() < 0.3:
                ledger = Ledger(TERMS)
                ledger.restore(list(states.values()))
    states.update(zip(*ledger.close(at), strict=True))
    return told, states


def plainly(told: list[Alert]) -> dict[str, list[Told]]:
    """Alerts by account in the terms of the reference; whatever has an id is named by what it tells."""
    opened: dict[str, Any] = {}
    found: dict[str, list[Told]] = {}
    for alert in told:
        cause = alert.entry_id or f"bucket/{round(alert.broker_at.timestamp()) // 300}"
        figures = tuple(None if one is None else pico(one) for one in (alert.seen, alert.expected))
        plain = (alert.account_id, alert.kind, alert.state, alert.subject_kind, alert.subject_id)
        if alert.state == "NOTICE":
            entry = (*plain, None, None, alert.entry_id)
        elif alert.state == "OPEN":
            opened[alert.alert_id] = line = (_line(alert), cause)
            entry = (*plain, *(figures if alert.kind == "threshold" else (None, None)), alert.entry_id, line)
        else:
            resolved = tuple(sorted((opened[one] for one in alert.resolves), key=str))
            entry = (*plain, None, None, alert.entry_id, resolved)
        found.setdefault(alert.account_id, []).append(entry)
    return found


def _line(alert: Alert) -> tuple[Any, ...]:
    if alert.kind != "threshold":
        return (alert.kind,)
    if alert.window is None:
        return ("credit", alert.threshold_percent)
    return ("budget", alert.subject_kind.upper(), alert.subject_id, alert.window, alert.threshold_percent)


def told_slowly(drawn: Drawn) -> tuple[dict[str, list[Told]], Reference]:
    reference = Reference(accounts(), budgets())
    found: dict[str, list[Told]] = {}
    for entry, at in drawn:
        for told in reference.post(entry, at):
            if told[2] == "OPEN":
                figures = (pico_of(told[5]), pico_of(told[6])) if told[1] == "threshold" else (None, None)
                told = (*told[:5], *figures, *told[7:])
            found.setdefault(told[0], []).append(told)
    return found, reference


def pico_of(amount: Any) -> int:
    return int(amount * 10**12)


def differences(seed: int) -> list[str]:
    """Where the ledger and the reference differ for one drawn journal."""
    chance = random.Random(seed)
    drawn = list(Journal(chance).draw(ENTRIES))
    slow, reference = told_slowly(drawn)
    alerts, states = told_by_columns(chance, drawn)
    fast = plainly(alerts)
    found = [f"{name}: told" for name in slow.keys() | fast.keys() if slow.get(name) != fast.get(name)]
    for name, book in reference.books.items():
        state = wire.decode(states[name]).record
        credit, used, available = book.figures()
        expected = {
            "balance": book.balance,
            "overdraft": book.overdraft,
            "used": used,
            "credit": credit,
            "version": len(book.counted),
        }
        found += [f"{name}: {what}" for what, value in expected.items() if state[what] != value]
        grants = sorted(book.grants, key=lambda grant: grant.grant_id)
        left = sorted(((one["grant_id"], one["remaining"]) for one in state["grants"]), key=lambda pair: pair[0])
        found += [f"{name}: grants"] if left != [(one.grant_id, one.left) for one in grants] else []
        found += _windows_that_differ(name, state, reference)
        status = available is None or available > 0
        found += [f"{name}: allowed"] if not status and state["allowed"] else []
    return found


def _windows_that_differ(name: str, state: dict[str, Any], reference: Reference) -> list[str]:
    book = reference.books[name]
    found = []
    for window in state["windows"]:
        for budget in reference.budgets:
            if (budget.account_id, budget.scope, budget.scope_id) == (name, window["scope"], window["scope_id"]):
                spent = reference.spent(book, budget, window["window"])
                if spent is not None and spent != window["spent"]:
                    found.append(f"{name}: window {window['window']}")
    return found


@pytest.mark.parametrize("seed", seeds(SEEDS, SEEDS_OFTEN))
def test_random_entries_in_random_pages_equal_the_slow_reference(seed: int) -> None:
    assert differences(seed) == []


def forgets_positions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold.Books, "_repeats", lambda self, frame: False)
    patch.setattr(post, "has_counted", lambda account, entry: False)


def forgets_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(post, "remember", lambda account, entry: None)


def is_strict_at_the_line(patch: pytest.MonkeyPatch) -> None:
    def strict(percent: int, used: int, credit: int | None, available: int | None) -> bool:
        return credit is not None and used * 100 > percent * credit

    patch.setattr(lines, "is_over", strict)
    patch.setattr(fits, "is_over", strict)


def adds_up_whatever_it_crosses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold, "fits", lambda account, terms, rows: account.judged_by is terms)


def draws_the_oldest_grant_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drawdown, "_insert", lambda account, grant: _append(account, grant))


def _append(account: Any, grant: Any) -> None:
    account.granted_pico += grant.amount_pico
    account.grants.append(grant)


def takes_references_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(check, "unique_of", lambda entry: None)


@pytest.mark.parametrize(
    "fault",
    [
        forgets_positions,
        forgets_ids,
        is_strict_at_the_line,
        adds_up_whatever_it_crosses,
        draws_the_oldest_grant_first,
        takes_references_twice,
    ],
)
def test_a_ledger_with_one_fault_is_caught(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    assert any(differences(seed) for seed in range(CONTROL_SEEDS))


def test_the_drawn_journals_reach_what_they_are_for() -> None:
    wanted = {
        ("threshold", "account"),
        ("threshold", "key"),
        ("threshold", "project"),
        ("forecast", "account"),
        ("unpriced", "account"),
        ("conflict", "entry"),
        ("invalid", "entry"),
        ("resolved", "account"),
        ("resolved", "key"),
    }
    for seed in range(SEEDS):
        told, _ = told_by_columns(random.Random(seed), list(Journal(random.Random(seed)).draw(ENTRIES)))
        wanted -= {(alert.kind, alert.subject_kind) for alert in told}
        if not wanted:
            return
    raise AssertionError(f"no journal reaches {wanted}")
