"""What a record of account.state should say, by its account's book, and where it says something else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenmeter.audit.compare import Difference
from tokenmeter.audit.ledger.book import FIVE_MINUTES_MS, Book
from tokenmeter.audit.ledger.windows import window_of
from tokenmeter.events.catalog import Account
from tokenmeter.events.catalog_row import AccountMode, AccountStatus
from tokenmeter.events.contract import ACCOUNT_STATE, CATALOG, LEDGER
from tokenmeter.events.ledger import Reason
from tokenmeter.events.rating import amount, pico

WHOLE = "ACCOUNT"
_EPOCH = datetime.fromtimestamp(0, UTC)
_WINDOWS = ("DAY", "WEEK", "MONTH", "LIFETIME")
_MONEY = ("invoiced", "paid", "charged", "provisional")
_COUNTS = ("version", "calls", "unpriced")

Fact = tuple[str, str, Any, Any]
"""(field, where it is known from, expected, found)"""


def difference(
    account_id: str, book: Book | None, state: Mapping[str, Any] | None, rows: list[Account]
) -> Difference | None:
    """The first thing of an account on which its state and its entries, or its rows of the catalog, differ."""
    name = f"account {account_id}"
    if book is None or state is None:
        expected = "no entry" if book is None else f"{book.version} entries"
        return Difference(name, "record", LEDGER, expected, ACCOUNT_STATE, "no state" if state is None else "a state")
    for field, place, wanted, found in _facts(book, state, rows):
        if wanted != found:
            return Difference(name, field, place, wanted, ACCOUNT_STATE, found)
    return None


def _facts(book: Book, state: Mapping[str, Any], rows: list[Account]) -> Iterator[Fact]:
    credit = book.credit
    owed = max(0, book.invoiced - book.paid)
    money = {
        "balance": credit.balance,
        "overdraft": credit.overdraft,
        "granted": credit.granted,
        **{name: getattr(book, name) for name in _MONEY},
        "billed_unpaid": owed,
        "unbilled": credit.overdraft - owed,
    }
    for name in _COUNTS:
        yield name, LEDGER, getattr(book, name), state[name]
    for name, value in money.items():
        yield name, LEDGER, amount(value), state[name]
    yield "as_of", LEDGER, _time(book.as_of_ms), state["as_of"]
    yield from _grants(book, state)
    yield from _windows(book, state)
    burn = {_time(five * FIVE_MINUTES_MS): amount(charged) for five, charged in book.burn.items()}
    yield "burn", LEDGER, burn, {one["begins_at"]: one["charged"] for one in state["burn"]}
    positions = {one["partition"]: (one["first_offset"], one["line"]) for one in state["positions"]}
    yield "positions", LEDGER, book.positions, positions
    yield from _entries(book, state)
    yield from _verdict(book, state, rows)


def _grants(book: Book, state: Mapping[str, Any]) -> Iterator[Fact]:
    grants = {one.grant_id: one for one in book.credit.grants}
    yield "grants", LEDGER, list(grants), [one["grant_id"] for one in state["grants"]]
    for found in state["grants"]:
        grant, name = grants[found["grant_id"]], f"grant {found['grant_id']}"
        expires = None if grant.expires_at_ms is None else _time(grant.expires_at_ms)
        yield f"{name} remaining", LEDGER, amount(grant.left), found["remaining"]
        yield f"{name} amount", LEDGER, amount(grant.amount), found["amount"]
        yield f"{name} expires_at", LEDGER, expires, found["expires_at"]
        for field in ("priority", "promotional", "expiring"):
            yield f"{name} {field}", LEDGER, getattr(grant, field), found[field]


def _windows(book: Book, state: Mapping[str, Any]) -> Iterator[Fact]:
    stated = {}
    for one in state["windows"]:
        part = (None, None) if one["scope"] == WHOLE else (one["scope"], one["scope_id"])
        stated[(*part, one["window"])] = one
        spent = one["budget"] is None or one["spent"] < one["budget"]
        yield f"window {one['window']} of {one['scope_id']} allowed", ACCOUNT_STATE, spent, one["allowed"]
    for key in sorted({*book.windows, *stated}, key=str):
        scope, scope_id, window = key
        name = f"window {window} of {scope or WHOLE} {scope_id or state['account_id']} spent"
        found = pico(stated[key]["spent"]) if key in stated else None
        possible = book.windows[key].possible() if key in book.windows else {None}
        if found not in possible:
            nearest = next(iter(possible))
            yield (
                name,
                LEDGER,
                None if nearest is None else amount(nearest),
                None if found is None else stated[key]["spent"],
            )


def _entries(book: Book, state: Mapping[str, Any]) -> Iterator[Fact]:
    yield "entries", LEDGER, list(book.known), [one["entry_id"] for one in state["entries"]]
    for found in state["entries"]:
        entry, name = book.known[found["entry_id"]], f"entry {found['entry_id']}"
        yield f"{name} amount", LEDGER, amount(entry.worth), found["amount"]
        yield f"{name} at", LEDGER, _time(entry.at_ms), found["at"]
        for field, value in (("kind", entry.kind), ("reference", entry.unique), ("voided", entry.voided)):
            yield f"{name} {field}", LEDGER, value, found[field]
    forgotten = None if book.forgotten_until_ms is None else _time(book.forgotten_until_ms)
    yield "forgotten_until", LEDGER, forgotten, state["forgotten_until"]


def _verdict(book: Book, state: Mapping[str, Any], rows: list[Account]) -> Iterator[Fact]:
    """The terms are of one of the account's rows, and the verdict is what they and the figures make."""
    prepaid = state["mode"] == AccountMode.PREPAID
    known = {
        (str(row.mode), str(row.status), None if row.credit_limit is None else pico(row.credit_limit)) for row in rows
    }
    known.add((str(AccountMode.POSTPAID), str(AccountStatus.ACTIVE), None))
    limit = None if state["credit"] is None else pico(state["credit"])
    if prepaid and limit is not None:
        limit -= pico(state["granted"])
    stated = (state["mode"], state["status"], limit)
    is_known = stated in known or (prepaid and limit == 0 and (*stated[:2], None) in known)
    yield "mode, status and credit", CATALOG, "those of a row", "those of a row" if is_known else str(stated)
    used = book.credit.granted - book.credit.balance if prepaid else book.credit.overdraft
    yield "used", LEDGER, amount(used), state["used"]
    yield "reason", LEDGER, _reason(book, state, limit, prepaid), state["reason"]
    yield "allowed", ACCOUNT_STATE, state["reason"] == Reason.OK, state["allowed"]


def _reason(book: Book, state: Mapping[str, Any], limit: int | None, prepaid: bool) -> str:
    """Why the account may call or not; how many calls may wait for a price is the operator's to say."""
    if state["status"] != AccountStatus.ACTIVE:
        return str(Reason.SUSPENDED if state["status"] == AccountStatus.SUSPENDED else Reason.CLOSED)
    if limit is not None and book.credit.balance + limit <= 0:
        return str(Reason.EXPIRED if state["expired"] else Reason.EXHAUSTED)
    if prepaid and book.unpriced and state["reason"] == Reason.UNPRICED:
        return str(Reason.UNPRICED)
    day = book.as_of_ms // 86_400_000
    now = {window_of(window, day) for window in _WINDOWS}
    refusing = any(one["scope"] == WHOLE and one["window"] in now and not one["allowed"] for one in state["windows"])
    return str(Reason.BUDGET if refusing else Reason.OK)


def _time(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
