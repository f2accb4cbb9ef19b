"""The cache says of random journals what the ledger's states say, and later what their budgets and expiries come to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.ledger_desk import Desk
from support.random_ledger import SCOPES, Journal, accounts, budgets
from tokenmeter.emit.credit import book as book_of
from tokenmeter.emit.credit import standing as standings
from tokenmeter.emit.credit.book import CreditBook
from tokenmeter.events import wire

JOURNALS_OFTEN, JOURNALS = 10, 25
ENTRIES, LOOK_EVERY = 120, 6
LATER_S = (0, 3_600, 86_400, 4 * 86_400)


def expected(state: dict[str, Any], now: float, scope: tuple[str, str] | None) -> str:
    """Why the account refuses at ``now``, said slowly and by the figures a person reads."""
    prepaid = state["mode"] == "PREPAID"
    available = None if state["credit"] is None else state["balance"] + state["credit"]
    if prepaid:
        available -= state["granted"]
    if available is not None and available <= 0:
        return "expired" if state["expired"] else "exhausted"
    gone = [grant["remaining"] for grant in state["grants"] if grant["expires_at"] and _s(grant["expires_at"]) <= now]
    if available is not None and gone and available - sum(gone) <= 0:
        return "expired"
    if scope == SCOPES["own"]:
        return "budget"
    asked = {("ACCOUNT", state["account_id"]), scope}
    for window in state["windows"]:
        used_up = window["budget"] is not None and window["spent"] >= window["budget"]
        open_yet = window["ends_at"] is None or _s(window["ends_at"]) > now
        if used_up and open_yet and (window["scope"], window["scope_id"]) in asked:
            return "budget"
    return "ok"


def _s(time: Any) -> float:
    return float(time.timestamp())


def differences(seeds: int) -> Iterator[tuple[Any, ...]]:
    """Where cache and expectation part, in random journals; every reason must have come up among them in the end."""
    reasons: set[str] = set()
    for seed in range(seeds):
        desk, book = Desk(*accounts(), *budgets()), CreditBook()
        for offset, row in enumerate([*accounts(), *budgets()]):
            book.fold_row(offset, row.to_value(), desk.at.timestamp())
        for number, (entry, at) in enumerate(Journal(random.Random(seed)).draw(ENTRIES)):
            desk.at = at
            desk.post(entry)
            if number % LOOK_EVERY:
                continue
            desk.state(entry.account_id)
            for account_id, value in desk.states.items():
                book.fold_state(account_id, value)
                state = wire.decode(value).record
                for later_s in LATER_S:
                    now = _s(state["as_of"]) + later_s
                    for scope in {None, SCOPES.get(account_id)}:
                        named = {} if scope is None else {{"KEY": "api_key", "PROJECT": "project"}[scope[0]]: scope[1]}
                        told, should = book.answer(account_id, now, **named).reason, expected(state, now, scope)
                        reasons.add(should)
                        if told != should or (later_s == 0 and scope is None and state["reason"] not in (told, "ok")):
                            yield seed, account_id, scope, later_s, told, should, state["reason"]
    assert reasons == {"ok", "exhausted", "expired", "budget"}


@pytest.mark.parametrize("journals", [JOURNALS_OFTEN, pytest.param(JOURNALS, marks=pytest.mark.long)])
def test_the_cache_says_what_the_ledger_says(journals: int) -> None:
    assert [*differences(journals)] == []


def _without_windows(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return lambda value: {**read(value), "windows": []}


def _without_expiries(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return lambda value: {**read(value), "grants": []}


@pytest.mark.parametrize("forgets", [_without_windows, _without_expiries])
def test_a_cache_that_forgets_a_part_of_the_state_is_caught(forgets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "_read", forgets(standings._read))
    assert book_of.standing_of is standings.standing_of
    assert next(differences(JOURNALS), None) is not None
