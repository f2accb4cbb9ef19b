"""Books the entries of one account as the ledger's README says, one after the other, and says what it stands at. Pure.

Charges of the same five minutes may be handed in added up: drawing a sum is drawing its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tokenmeter.audit.ledger.account import Credit, Grant, Known, Spent
from tokenmeter.audit.ledger.windows import Budgets, forgotten_at_ms, window_of
from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import REMEMBERED_DAYS, REMEMBERED_ENTRIES_MAX, EntryKind, fault
from tokenmeter.events.rating import pico

FIVE_MINUTES_MS = 300_000
HOUR_FIVES = 12
SKEW_MS = 300_000
"""How far a writer's clock may be from the broker's."""
_GRANTS = (EntryKind.GRANT, EntryKind.PAYMENT)


class Charges(NamedTuple):
    """Charges added up, of one account, five minutes, currency, partition, scope and day. ``at_ms`` and ``place``
    (first_offset, line) are the last one's; the amounts are what is owed."""

    at_ms: int
    currency: str
    partition: int
    place: tuple[int, int]
    scope: str | None
    scope_id: str | None
    day: int
    entries: int
    amount: int
    provisional: int
    calls: int
    unpriced: int


class Book:
    """One account."""

    def __init__(self, currency: str, budgets: Budgets, expiries: Iterable[tuple[int, str]] = ()) -> None:
        """``expiries``: when the ledger wrote that a grant expires, and which; from then on it gets nothing back."""
        self.currency = currency
        self.credit = Credit()
        self.version = self.as_of_ms = self.invoiced = self.paid = 0
        self.charged = self.provisional = self.calls = self.unpriced = 0
        self.burn: dict[int, int] = {}
        self.windows: dict[tuple[str | None, str | None, str], Spent] = {}
        self.positions: dict[int, tuple[int, int]] = {}
        self.known: dict[str, Known] = {}
        self.forgotten_until_ms: int | None = None
        self._budgets = budgets
        self._five = 0
        self._expiries = sorted(expiries, reverse=True)

    def charge(self, one: Charges) -> None:
        """Book charges that only take and have not counted."""
        self._pass_time(one.at_ms)
        if one.currency != self.currency:
            return
        self.version += one.entries
        self.positions[one.partition] = max(self.positions.get(one.partition, one.place), one.place)
        self._use(one.scope, one.scope_id, one.day, one.amount, one.provisional, one.calls, one.unpriced)
        if one.scope is None:
            self.credit.draw(one.amount)

    def post(self, entry: Mapping[str, Any], at_ms: int) -> None:
        """Book an entry, if it has not counted and can be booked."""
        self._pass_time(at_ms)
        if not self._has_counted(entry) and self._may_count(entry, at_ms):
            self.version += 1
            self._count(entry, at_ms)

    def end(self, at_ms: int) -> None:
        """Nothing more comes than was there at ``at_ms``: expiries written by then are on their way."""
        self._mark(at_ms + 1)

    def _pass_time(self, at_ms: int) -> None:
        self._mark(at_ms)
        self.as_of_ms = max(self.as_of_ms, at_ms)
        five = at_ms // FIVE_MINUTES_MS
        before, self._five = self._five, max(self._five, five)
        if not before or five <= before:
            return
        self.burn = {bucket: charged for bucket, charged in self.burn.items() if bucket >= five - HOUR_FIVES}
        now_ms, then_ms = five * FIVE_MINUTES_MS, before * FIVE_MINUTES_MS
        if now_ms // DAY_MS == then_ms // DAY_MS:
            return
        self.windows = {key: spent for key, spent in self.windows.items() if now_ms < forgotten_at_ms(key[2])}
        for name in [name for name, one in self.known.items() if one.at_ms <= now_ms - REMEMBERED_DAYS * DAY_MS]:
            self._forget(name)
        if window_of("MONTH", now_ms // DAY_MS) != window_of("MONTH", then_ms // DAY_MS):
            self.credit.grants = [grant for grant in self.credit.grants if grant.left or grant.expiring]

    def _mark(self, at_ms: int) -> None:
        while self._expiries and self._expiries[-1][0] < at_ms:
            _, grant_id = self._expiries.pop()
            for grant in self.credit.grants:
                grant.expiring |= grant.grant_id == grant_id

    def _forget(self, entry_id: str) -> None:
        self.forgotten_until_ms = max(self.forgotten_until_ms or 0, self.known.pop(entry_id).at_ms)

    def _has_counted(self, entry: Mapping[str, Any]) -> bool:
        if entry["kind"] == EntryKind.CHARGE:
            last = self.positions.get(entry["partition"])
            return _is_placed(entry) and last is not None and (entry["first_offset"], entry["line"]) <= last
        known = self.known.get(entry["entry_id"])
        return known is not None and known.content == _content(entry)

    def _may_count(self, entry: Mapping[str, Any], at_ms: int) -> bool:
        kind = entry["kind"]
        named = {name: entry[name] for name in ("scope", "scope_id", "grant_id", "voids")}
        if fault(kind, entry["amount"], entry["billed_amount"], placed=_is_placed(entry), **named) is not None:
            return False
        if entry["currency"] != self.currency:
            return False
        if kind == EntryKind.CHARGE:
            return True
        made_at_ms = _ms(entry["made_at"])
        oldest = at_ms - REMEMBERED_DAYS * DAY_MS
        if self.forgotten_until_ms is not None:
            oldest = max(oldest, self.forgotten_until_ms + SKEW_MS)
        if entry["entry_id"] in self.known or made_at_ms > at_ms + SKEW_MS or made_at_ms <= oldest:
            return False
        unique = _unique(entry)
        if unique and any((one.kind, one.unique) == (kind, unique) for one in self.known.values()):
            return False
        if kind == EntryKind.EXPIRY:
            granted = self.known.get(entry["grant_id"])
            was_granted = granted is not None and granted.kind in _GRANTS and not granted.voided
            return was_granted or any(grant.grant_id == entry["grant_id"] for grant in self.credit.grants)
        return kind != EntryKind.VOID or entry["occurred_day"] is not None or self._may_void(entry)

    def _may_void(self, entry: Mapping[str, Any]) -> bool:
        voided = self.known.get(entry["voids"])
        if voided is None or voided.kind == EntryKind.VOID:
            return False
        if any((one.kind, one.unique) == (EntryKind.EXPIRY, entry["voids"]) for one in self.known.values()):
            return False
        bills = entry["billed_amount"] is not None
        return bills == (voided.kind == EntryKind.INVOICE) and voided.worth == -_worth(entry)

    def _count(self, entry: Mapping[str, Any], at_ms: int) -> None:
        kind, amount, entry_id = entry["kind"], _pico(entry["amount"]), entry["entry_id"]
        of_usage = kind == EntryKind.CHARGE or (kind == EntryKind.VOID and entry["occurred_day"] is not None)
        if of_usage:
            if kind == EntryKind.CHARGE:
                self.positions[entry["partition"]] = entry["first_offset"], entry["line"]
            day = _ms(entry["occurred_day"]) // DAY_MS
            provisional = -_pico(entry["provisional_amount"])
            part = entry["scope"], entry["scope_id"]
            self._use(*part, day, -amount, provisional, entry["calls"], entry["unpriced"])
            if entry["scope"] is None:
                self._move(amount, entry_id)
        elif kind in _GRANTS:
            self.credit.give(
                Grant(
                    entry_id,
                    amount,
                    amount,
                    self.version,
                    entry["priority"],
                    None if entry["expires_at"] is None else _ms(entry["expires_at"]),
                    entry["promotional"],
                )
            )
            self.paid += amount if kind == EntryKind.PAYMENT else 0
        elif kind == EntryKind.INVOICE:
            self.invoiced += _pico(entry["billed_amount"])
        elif kind == EntryKind.EXPIRY:
            self.credit.take_back(entry["grant_id"], -amount)
        elif kind == EntryKind.VOID:
            self._void(self.known[entry["voids"]], entry)
        else:
            self._move(amount, entry_id)
        if kind != EntryKind.CHARGE:
            self.known[entry_id] = Known(_content(entry), kind, _worth(entry), _unique(entry), at_ms)
            while len(self.known) > REMEMBERED_ENTRIES_MAX:
                self._forget(next(iter(self.known)))

    def _void(self, voided: Known, entry: Mapping[str, Any]) -> None:
        voided.voided = True
        amount = _pico(entry["amount"])
        if voided.kind in _GRANTS:
            self.credit.take_back(entry["voids"], voided.worth)
            self.paid -= voided.worth if voided.kind == EntryKind.PAYMENT else 0
        elif voided.kind == EntryKind.INVOICE:
            self.invoiced -= voided.worth
        elif voided.kind == EntryKind.EXPIRY:
            self.credit.give(Grant(entry["entry_id"], amount, amount, self.version))
        else:
            self._move(amount, entry["entry_id"])

    def _move(self, amount: int, entry_id: str) -> None:
        if amount > 0:
            self.credit.give_back(amount, entry_id, self.version)
        else:
            self.credit.draw(-amount)

    def _use(
        self,
        scope: str | None,
        scope_id: str | None,
        day: int,
        amount: int,
        provisional: int,
        calls: int,
        unpriced: int,
    ) -> None:
        if scope is None:
            self.charged += amount
            self.provisional += provisional
            self.calls += calls
            self.unpriced += unpriced
            self.burn[self._five] = self.burn.get(self._five, 0) + amount
        for budget in self._budgets.get((scope, scope_id), ()):
            window = window_of(budget.window, day)
            if self._five * FIVE_MINUTES_MS >= forgotten_at_ms(window) or self.as_of_ms < budget.from_ms:
                continue
            spent = self.windows.setdefault((scope, scope_id, window), Spent())
            if self.as_of_ms >= budget.surely_ms:
                spent.sure = (spent.sure or 0) + amount
            else:
                spent.maybe.append(amount)


def _is_placed(entry: Mapping[str, Any]) -> bool:
    return all(entry[name] is not None for name in ("partition", "first_offset", "line", "occurred_day"))


def _unique(entry: Mapping[str, Any]) -> str | None:
    """What no two entries of one kind may share."""
    names = {EntryKind.VOID: "voids", EntryKind.EXPIRY: "grant_id"}
    found: str | None = entry[names.get(entry["kind"], "reference")]
    return found


def _content(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two entries of one id have in common when they are the same entry."""
    names = ("kind", "amount", "billed_amount", "currency", "scope", "scope_id", "occurred_day", "unpriced")
    more = ("priority", "expires_at", "promotional", "grant_id", "voids", "reference")
    return tuple(entry[name] for name in (*names, *more))


def _worth(entry: Mapping[str, Any]) -> int:
    return _pico(entry["amount"] if entry["billed_amount"] is None else entry["billed_amount"])


def _pico(amount: Any) -> int:
    return 0 if amount is None else pico(amount)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)
