"""A ledger with a desk: entries are handed in one after the other, each at its time, and alerts come back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from support.catalog_rows import LONG_AGO, account
from tokenmeter.events import wire
from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import AccountMode
from tokenmeter.events.ledger import Alert, LedgerEntry, charge_id
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import LedgerRules, MemoryTerms

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def prepaid(account_id: str = "c", **fields: Any) -> Account:
    """An account that pays before it uses."""
    return account(account_id, mode=AccountMode.PREPAID, **fields)


def budget(account_id: str, scope: str, scope_id: str, window: str, amount: int) -> Budget:
    """A budget."""
    named = {"account_id": account_id, "scope": scope, "scope_id": scope_id, "window": window}
    return Budget(**named, amount=Decimal(amount), effective_from=LONG_AGO)


def lines(alerts: Iterable[Alert]) -> list[str]:
    """Alerts in short: the shares that fire, and ``resolved N`` for a record that resolves N."""
    return [
        f"resolved {len(one.resolves)}"
        if one.state == "RESOLVED"
        else str(one.threshold_percent)
        if one.kind == "threshold"
        else one.kind
        for one in alerts
    ]


class Desk:
    """``at`` is the broker's time of what is handed in next."""

    def __init__(self, *rows: Account | Budget, rules: LedgerRules | None = None) -> None:
        accounts = [row for row in rows if isinstance(row, Account)]
        budgets = [row for row in rows if isinstance(row, Budget)]
        self.terms = MemoryTerms(accounts, budgets, rules)
        self._rules = rules
        self.ledger = Ledger(self.terms, rules)
        self.at = NOON
        self.states: dict[str, bytes] = {}
        self.entries: list[LedgerEntry] = []
        self._offset = 0

    def entry(self, kind: str, amount: Any = None, account_id: str = "c", **fields: Any) -> LedgerEntry:
        """An entry made now, with an id of its own unless it is given one."""
        named = {"entry_id": f"{kind}-{len(self.entries)}", "made_at": self.at, "made_by": "desk"}
        if amount is not None:
            fields["amount"] = Decimal(amount)
        return LedgerEntry(account_id=account_id, kind=kind, **{**named, **fields})

    def charge(self, amount: Any, account_id: str = "c", **fields: Any) -> LedgerEntry:
        """A charge of calls that ended now, in a page of its own; ``amount`` of None: no call has a price."""
        self._offset += 10
        first = fields.pop("first_offset", self._offset)
        made = {
            "entry_id": charge_id(0, first, fields.get("line", 0)),
            "occurred_day": self.at.replace(hour=0, minute=0, second=0, microsecond=0),
            "partition": 0,
            "first_offset": first,
            "last_offset": first + 9,
            "line": 0,
            "calls": 1,
        }
        return self.entry("CHARGE", None if amount is None else -Decimal(amount), account_id, **{**made, **fields})

    def post(self, *entries: LedgerEntry) -> list[Alert]:
        """Hand in some entries as one batch."""
        values = [entry.to_value() for entry in entries]
        times = np.full(len(values), round(self.at.timestamp() * 1_000), np.int64)
        offsets = np.arange(len(self.entries), len(self.entries) + len(values))
        self.entries += entries
        told, rejected = self.ledger.fold(values, times, offsets)
        assert not rejected
        return told

    def spend(self, amount: Any, account_id: str = "c", **fields: Any) -> list[Alert]:
        return self.post(self.charge(amount, account_id, **fields))

    def pass_time(self, **delta: float) -> None:
        self.at += timedelta(**delta)

    def state(self, account_id: str = "c") -> dict[str, Any]:
        """The account's newest state as it is read from the topic."""
        self._close()
        return wire.decode(self.states[account_id], expect="account_state").record

    def restart(self) -> None:
        """A new ledger that knows what the states say."""
        self._close()
        self.ledger = Ledger(self.terms, self._rules)
        self.ledger.restore(list(self.states.values()))

    def expire(self) -> list[Alert]:
        """Let the ledger write the expiries that are due, and hand them in."""
        due = self.ledger.expire()
        self._close()
        return self.post(*due) if due else []

    def _close(self) -> None:
        self.states.update(zip(*self.ledger.close(len(self.entries)), strict=True))
