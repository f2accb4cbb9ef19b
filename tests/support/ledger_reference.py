"""The ledger told slowly: one entry at a time, every figure summed anew from the entries that counted.

Written from the package's README alone and in other terms (dates, fractions, sums over a list), so that it and the
columnar ledger do not share their mistakes. What it tells is compared as plain tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.ledger import LedgerEntry

EPOCH = datetime.fromtimestamp(0, UTC)
FIVE_MINUTES = timedelta(minutes=5)
GRACE = timedelta(days=2)
MEMORY = timedelta(days=90)

Told = tuple[Any, ...]


@dataclass
class Holding:
    """A grant as far as it is left."""

    grant_id: str
    amount: Fraction
    left: Fraction
    rank: tuple[Any, ...]


@dataclass
class Book:
    """One account: what counted, with the broker's time of each, and what that cannot be summed from."""

    row: Account
    counted: list[tuple[LedgerEntry, datetime]] = field(default_factory=list)
    seen: dict[str, LedgerEntry] = field(default_factory=dict)
    grants: list[Holding] = field(default_factory=list)
    overdraft: Fraction = Fraction(0)
    alarms: dict[tuple[Any, ...], tuple[Any, ...]] = field(default_factory=dict)
    now: datetime | None = None

    @property
    def balance(self) -> Fraction:
        return sum((Fraction(e.amount or 0) for e, _ in self.counted if e.scope is None), Fraction(0))

    def figures(self) -> tuple[Fraction | None, Fraction, Fraction | None]:
        """(credit, used, available)"""
        limit = None if self.row.credit_limit is None else Fraction(self.row.credit_limit)
        if self.row.mode == "PREPAID":
            granted = sum((grant.amount for grant in self.grants), Fraction(0))
            return granted + (limit or 0), granted - self.balance, self.balance + (limit or 0)
        return limit, self.overdraft, None if limit is None else self.balance + limit


class Reference:
    """Every account's book; ``post`` returns what one entry tells."""

    def __init__(
        self,
        accounts: Iterable[Account],
        budgets: Iterable[Budget],
        thresholds: tuple[int, ...] = (50, 80, 95, 100),
        hours: int = 24,
    ) -> None:
        self.rows = {account.account_id: account for account in accounts}
        self.budgets = list(budgets)
        self.thresholds, self.hours = thresholds, hours
        self.books: dict[str, Book] = {}

    def post(self, entry: LedgerEntry, at: datetime) -> list[Told]:
        row = self.rows.get(entry.account_id) or Account(account_id=entry.account_id, effective_from=EPOCH)
        book = self.books.setdefault(entry.account_id, Book(row))
        told = list(self._pass_time(book, at))
        book.now = at
        same = book.seen.get(entry.entry_id)
        if same is not None and (entry.kind == "CHARGE" or _content(same) == _content(entry)):
            return told
        kind = self._refuses(book, entry, at)
        if kind:
            return [*told, (entry.account_id, kind, "NOTICE", "entry", entry.entry_id, None, None, entry.entry_id)]
        self._book(book, entry, at)
        assert sum((grant.left for grant in book.grants), Fraction(0)) - book.overdraft == book.balance
        return [*told, *self._judge(book, entry, at)]

    def spent(self, book: Book, budget: Budget, window: str) -> Fraction | None:
        """What counted to a window; None: nothing ever did."""
        scope = (None, None) if budget.scope == "ACCOUNT" else (budget.scope, budget.scope_id)
        amounts = [
            -Fraction(e.amount or 0)
            for e, at in book.counted
            if e.occurred_day is not None
            and (e.scope, e.scope_id) == scope
            and window_of(budget, e.occurred_day.date()) == window
            and (end_of(window) is None or _floor(at) < end_of(window) + GRACE)  # type: ignore[operator]
        ]
        return sum(amounts, Fraction(0)) if amounts else None

    def _budgets(self, book: Book) -> list[Budget]:
        order = ["DAY", "WEEK", "MONTH", "LIFETIME"]
        mine = [budget for budget in self.budgets if budget.account_id == book.row.account_id]
        return sorted(mine, key=lambda budget: order.index(budget.window))

    def _percents(self, book: Book) -> tuple[int, ...]:
        return tuple(sorted(set(book.row.thresholds_percent))) or self.thresholds

    def _pass_time(self, book: Book, at: datetime) -> Iterator[Told]:
        if book.now is None or _floor(at) <= _floor(book.now):
            return
        before, at = _floor(book.now), _floor(at)
        over = {("forecast",): self._forecast(book, at)}
        if at.date() != before.date():
            for line in list(book.alarms):
                if line[0] == "budget" and end_of(line[3]) is not None and at >= end_of(line[3]) + GRACE:
                    del book.alarms[line]
        if (at.year, at.month) != (before.year, before.month):
            book.grants = [grant for grant in book.grants if grant.left]
            over = {("forecast",): self._forecast(book, at), **self._credit_lines(book)}
        yield from self._settle(book, over, f"bucket/{(at - EPOCH) // FIVE_MINUTES}", at, None)

    def _refuses(self, book: Book, entry: LedgerEntry, at: datetime) -> str | None:
        if entry.currency != book.row.currency:
            return "conflict"
        if entry.kind == "CHARGE":
            return None
        if entry.entry_id in book.seen:
            return "conflict"
        if entry.made_at > at + FIVE_MINUTES or entry.made_at <= at - MEMORY:
            return "invalid"
        others = [e for e, _ in book.counted if e.kind == entry.kind]
        if entry.reference and any(e.reference == entry.reference for e in others if e.kind not in ("VOID", "EXPIRY")):
            return "conflict"
        if entry.kind == "EXPIRY":
            granted = book.seen.get(entry.grant_id or "")
            is_grant = granted is not None and granted.kind in ("GRANT", "PAYMENT")
            is_left = any(grant.grant_id == entry.grant_id for grant in book.grants)
            gone = any(e.kind == "VOID" and e.voids == entry.grant_id for e, _ in book.counted)
            again = any(e.grant_id == entry.grant_id for e in others)
            return "conflict" if again or not (is_left or (is_grant and not gone)) else None
        if entry.kind == "VOID":
            if any(e.voids == entry.voids for e in others):
                return "conflict"
            if entry.occurred_day is not None:
                return None
            voided = book.seen.get(entry.voids or "")
            if voided is None or voided.kind in ("VOID", "CHARGE"):
                return "conflict"
            for mine, other in ((entry.amount, voided.amount), (entry.billed_amount, voided.billed_amount)):
                if (mine or 0) != -(other or 0):
                    return "conflict"
            if any(e.kind == "EXPIRY" and e.grant_id == voided.entry_id for e, _ in book.counted):
                return "conflict"
        return None

    def _book(self, book: Book, entry: LedgerEntry, at: datetime) -> None:
        book.counted.append((entry, at))
        book.seen[entry.entry_id] = entry
        amount, age = Fraction(entry.amount or 0), len(book.counted)
        if entry.scope is not None or entry.kind == "INVOICE":
            return
        if entry.kind in ("GRANT", "PAYMENT"):
            _give(book, entry.entry_id, amount, (entry.priority, entry.expires_at, entry.promotional, age))
        elif entry.kind == "EXPIRY":
            _take(book, entry.grant_id or "", -amount)
        elif entry.kind == "VOID" and entry.occurred_day is None:
            voided = book.seen[entry.voids or ""]
            if voided.kind in ("GRANT", "PAYMENT"):
                _take(book, voided.entry_id, -amount)
            elif voided.kind == "EXPIRY":
                _give(book, entry.entry_id, amount, (0, None, False, age))
            elif voided.kind == "ADJUSTMENT":
                _move(book, entry.entry_id, amount, age)
        else:
            _move(book, entry.entry_id, amount, age)

    def _credit_lines(self, book: Book) -> dict[tuple[Any, ...], tuple[bool, Any, Any]]:
        credit, used, available = book.figures()
        lines = {}
        for percent in self._percents(book):
            over = (
                False
                if credit is None
                else (available is not None and available <= 0)
                if credit <= 0
                else used / credit >= Fraction(percent, 100)
            )
            lines["credit", percent] = (over, used, credit or 0)
        return lines

    def _forecast(self, book: Book, at: datetime) -> tuple[bool, Any, Any]:
        _, _, available = book.figures()
        end = _floor(at)
        burn = sum(
            (
                -Fraction(e.amount or 0)
                for e, when in book.counted
                if e.occurred_day is not None and e.scope is None and end - timedelta(hours=1) <= _floor(when) < end
            ),
            Fraction(0),
        )
        if available is None:
            return False, burn, 0
        if available <= 0:
            return ("forecast",) in book.alarms, burn, available
        return burn > 0 and available <= burn * self.hours, burn, available

    def _judge(self, book: Book, entry: LedgerEntry, at: datetime) -> Iterator[Told]:
        if entry.scope is None:
            lines = dict(self._credit_lines(book))
            if entry.kind != "CHARGE":
                lines["forecast",] = self._forecast(book, at)
            yield from self._settle(book, lines, entry.entry_id, at, entry.entry_id)
            if entry.unpriced:
                waiting = sum(e.unpriced for e, _ in book.counted if e.scope is None)
                yield from self._settle(
                    book, {("unpriced",): (waiting > 0, None, None)}, entry.entry_id, at, entry.entry_id
                )
        if entry.occurred_day is None:
            return
        for budget in self._budgets(book):
            scope = (None, None) if budget.scope == "ACCOUNT" else (budget.scope, budget.scope_id)
            window = window_of(budget, entry.occurred_day.date())
            spent = self.spent(book, budget, window)
            end = end_of(window)
            if scope != (entry.scope, entry.scope_id) or spent is None or (end and _floor(at) >= end + GRACE):
                continue
            limit = Fraction(budget.amount)
            lines = {
                ("budget", budget.scope, budget.scope_id, window, percent): (
                    spent * 100 >= percent * limit,
                    spent,
                    limit,
                )
                for percent in self._percents(book)
            }
            yield from self._settle(book, lines, entry.entry_id, at, entry.entry_id)

    def _settle(
        self,
        book: Book,
        lines: dict[tuple[Any, ...], tuple[bool, Any, Any]],
        cause: str,
        at: datetime,
        entry_id: str | None,
    ) -> Iterator[Told]:
        recovered = []
        account_id = book.row.account_id
        subject = ("account", account_id)
        for line, (over, seen, expected) in lines.items():
            if line[0] == "budget" and line[1] != "ACCOUNT":
                subject = (line[1].lower(), line[2])
            if over and line not in book.alarms:
                book.alarms[line] = (line, cause)
                kind = line[0] if line[0] in ("forecast", "unpriced") else "threshold"
                yield (account_id, kind, "OPEN", *subject, seen, expected, entry_id, (line, cause))
            elif not over and line in book.alarms:
                recovered.append(book.alarms.pop(line))
        if recovered:
            yield (
                account_id,
                "resolved",
                "RESOLVED",
                *subject,
                None,
                None,
                entry_id,
                tuple(sorted(recovered, key=str)),
            )


def window_of(budget: Budget, day: date) -> str:
    """The window of a day, as people write it."""
    if budget.window == "DAY":
        return day.strftime("%Y-%m-%d")
    if budget.window == "WEEK":
        return day.strftime("%G-W%V")
    return day.strftime("%Y-%m") if budget.window == "MONTH" else "lifetime"


def end_of(window: str) -> datetime | None:
    """The midnight at which a window ends."""
    if window == "lifetime":
        return None
    if "W" in window:
        day = datetime.strptime(window + "-1", "%G-W%V-%u") + timedelta(days=7)
    elif window.count("-") == 1:
        first = datetime.strptime(window, "%Y-%m")
        day = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    else:
        day = datetime.strptime(window, "%Y-%m-%d") + timedelta(days=1)
    return day.replace(tzinfo=UTC)


def _floor(at: datetime) -> datetime:
    return at - (at - EPOCH) % FIVE_MINUTES


def _content(entry: LedgerEntry) -> tuple[Any, ...]:
    ignored = {"made_at", "made_by", "note"}
    return tuple(value for name, value in entry.__dict__.items() if name not in ignored)


def _drawing(grant: Holding) -> tuple[Any, ...]:
    priority, expires_at, promotional, age = grant.rank
    return priority, expires_at is None, expires_at or EPOCH, 0 if promotional else 1, age


def _move(book: Book, entry_id: str, amount: Fraction, age: int) -> None:
    if amount < 0:
        due = -amount
        for grant in sorted(book.grants, key=_drawing):
            part = min(due, grant.left)
            grant.left, due = grant.left - part, due - part
        book.overdraft += due
    else:
        part = min(amount, book.overdraft)
        book.overdraft, amount = book.overdraft - part, amount - part
        for grant in sorted(book.grants, key=_drawing, reverse=True):
            part = min(amount, grant.amount - grant.left)
            grant.left, amount = grant.left + part, amount - part
        if amount:
            book.grants.append(Holding(entry_id, amount, amount, (0, None, False, age)))


def _give(book: Book, grant_id: str, amount: Fraction, rank: tuple[Any, ...]) -> None:
    part = min(amount, book.overdraft)
    book.overdraft -= part
    book.grants.append(Holding(grant_id, amount, amount - part, rank))


def _take(book: Book, grant_id: str, amount: Fraction) -> None:
    for grant in [grant for grant in book.grants if grant.grant_id == grant_id]:
        part = min(amount, grant.left)
        grant.left, amount = grant.left - part, amount - part
        if grant.left:
            grant.amount -= part
        else:
            book.grants.remove(grant)
    _move(book, "", -amount, 0)
