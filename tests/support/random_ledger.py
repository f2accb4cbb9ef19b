"""Journals drawn at random from a world so small that thresholds are hit exactly, grants run out and windows end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.catalog_rows import LONG_AGO, account
from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import AccountMode, BudgetScope, BudgetWindow
from tokenmeter.events.ledger import LedgerEntry, charge_id

BEGIN = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)
STEPS_MS = (0, 0, 1, 1, 40, 500, 5_000, 60_000, 240_000, 900_000, 3_600_000, 30_000_000)
AMOUNTS = tuple(Decimal(text) for text in ("0.5", "1", "1", "2", "2.5", "5", "0.000000000001"))
PRIORITIES = (0, 0, 1)


def accounts() -> list[Account]:
    """Prepaid with and without overdraft, postpaid with and without limit, thresholds of its own."""
    return [
        account("pre", mode=AccountMode.PREPAID),
        account("over", mode=AccountMode.PREPAID, credit_limit=Decimal(5)),
        account("post", credit_limit=Decimal(20)),
        account("own", mode=AccountMode.PREPAID, thresholds_percent=(80, 95)),
        account("free"),
    ]


def budgets() -> list[Budget]:
    """Budgets of whole accounts and of keys, one for each kind of window and one of nothing at all."""
    made = [
        ("pre", BudgetScope.ACCOUNT, "pre", BudgetWindow.DAY, 5),
        ("post", BudgetScope.ACCOUNT, "post", BudgetWindow.MONTH, 20),
        ("post", BudgetScope.KEY, "k", BudgetWindow.WEEK, 10),
        ("free", BudgetScope.KEY, "k", BudgetWindow.DAY, 4),
        ("free", BudgetScope.KEY, "k", BudgetWindow.LIFETIME, 50),
        ("own", BudgetScope.PROJECT, "p", BudgetWindow.MONTH, 0),
    ]
    names = ("account_id", "scope", "scope_id", "window", "amount")
    return [Budget(**dict(zip(names, row, strict=True)), effective_from=LONG_AGO) for row in made]


SCOPES = {"post": ("KEY", "k"), "free": ("KEY", "k"), "own": ("PROJECT", "p")}


@dataclass
class Journal:
    """What has been drawn: entries, and the broker's time of each."""

    chance: random.Random
    at: datetime = BEGIN
    number: int = 0
    first_offsets: dict[int, int] = field(default_factory=dict)
    made: list[LedgerEntry] = field(default_factory=list)

    def draw(self, count: int) -> Iterator[tuple[LedgerEntry, datetime]]:
        names = [one.account_id for one in accounts()]
        quiet = self.chance.random() < 0.5
        while count > 0:
            self.at += timedelta(milliseconds=self.chance.choice(STEPS_MS[:7] if quiet else STEPS_MS))
            account_id = self.chance.choice(names)
            entries = self._page(account_id) if self.chance.random() < 0.75 else [self._other(account_id)]
            for entry in entries:
                count -= 1
                self.made.append(entry)
                yield entry, self.at
            if self.chance.random() < 0.05:
                yield self.chance.choice(self.made), self.at
            if self.chance.random() < 0.02:
                yield self._twisted(self.chance.choice(self.made)), self.at

    def _entry(self, account_id: str, **fields: Any) -> LedgerEntry:
        self.number += 1
        made = {"entry_id": f"e{self.number}", "made_at": self.at, "made_by": "test"}
        return LedgerEntry(account_id=account_id, **{**made, **fields})

    def _page(self, account_id: str) -> list[LedgerEntry]:
        """The charges of one page of the meter: of the account, and of its key or project, by day."""
        partition = self.chance.randrange(2) if account_id == "post" else 0
        first = self.first_offsets[partition] = self.first_offsets.get(partition, 0) + 10
        sign = 1 if self.chance.random() < 0.1 else -1
        unpriced = self.chance.choice((0,) * 12 + (1, -1))
        days = {(self.at - timedelta(hours=hours)).date() for hours in self.chance.choice(((0,), (0,), (0, 20), (60,)))}
        scopes = [(None, None), *([SCOPES[account_id]] if account_id in SCOPES else [])]
        rows = []
        for day in sorted(days):
            amount = None if unpriced > 0 else sign * self.chance.choice(AMOUNTS)
            for scope, scope_id in scopes:
                line = len(rows)
                rows.append(
                    self._entry(
                        account_id,
                        entry_id=charge_id(partition, first, line),
                        kind="CHARGE",
                        amount=amount,
                        scope=scope,
                        scope_id=scope_id,
                        occurred_day=datetime(day.year, day.month, day.day, tzinfo=UTC),
                        partition=partition,
                        first_offset=first,
                        last_offset=first + 9,
                        line=line,
                        calls=3,
                        unpriced=unpriced,
                        provisional_amount=amount if self.chance.random() < 0.1 else None,
                    )
                )
        return rows

    def _other(self, account_id: str) -> LedgerEntry:
        chance = self.chance
        mine = [entry for entry in self.made if entry.account_id == account_id]
        amount = chance.choice((Decimal(2), Decimal(5), Decimal(10)))
        kind = chance.choice(("GRANT", "GRANT", "PAYMENT", "ADJUSTMENT", "INVOICE", "VOID", "EXPIRY"))
        match kind:
            case "GRANT" | "PAYMENT":
                return self._entry(
                    account_id,
                    kind=kind,
                    amount=amount,
                    priority=chance.choice(PRIORITIES),
                    promotional=chance.random() < 0.5,
                    expires_at=self.at + timedelta(days=chance.randrange(1, 9)) if chance.random() < 0.4 else None,
                    reference=f"r{chance.randrange(40)}" if chance.random() < 0.4 else None,
                )
            case "ADJUSTMENT":
                return self._entry(account_id, kind=kind, amount=chance.choice((-1, 1)) * amount)
            case "INVOICE":
                return self._entry(account_id, kind=kind, billed_amount=amount)
            case "EXPIRY":
                grants = [entry.entry_id for entry in mine if entry.kind in ("GRANT", "PAYMENT")] or ["none"]
                return self._entry(account_id, kind=kind, amount=-amount, grant_id=chance.choice(grants))
        if not mine:
            return self._entry(account_id, kind="VOID", amount=amount, voids="none")
        voided = chance.choice(mine)
        same = {"scope": voided.scope, "scope_id": voided.scope_id, "occurred_day": voided.occurred_day}
        if voided.kind == "CHARGE":
            same |= {"calls": -voided.calls, "unpriced": -voided.unpriced}
        return self._entry(
            account_id,
            kind="VOID",
            amount=-(voided.amount or 0),
            billed_amount=None if voided.billed_amount is None else -voided.billed_amount,
            voids=voided.entry_id,
            **same,
        )

    def _twisted(self, entry: LedgerEntry) -> LedgerEntry:
        """An entry that is not booked: the same id with another amount, another currency, or made long ago."""
        match self.chance.randrange(3):
            case 0 if entry.kind in ("GRANT", "PAYMENT"):
                return entry.model_copy(update={"amount": Decimal(7)})
            case 1:
                return self._entry(entry.account_id, kind="GRANT", amount=Decimal(1), currency="EUR")
            case _:
                long_ago = self.at - timedelta(days=90)
                return self._entry(entry.account_id, kind="GRANT", amount=Decimal(1), made_at=long_ago)
