"""Grants whose time is over: each is taken off by an EXPIRY entry, written once, that comes back through the log.

Until the entry counts the grant still pays: what the log says is what was, whoever reads it. The entry takes off what
was left when it was written; what the grant paid meanwhile is then drawn elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.flow.ledger.account import Account, Grant
from tokenmeter.flow.ledger.alert import money, time_of

MADE_BY = "ledger"


def expiry_id(grant_id: str) -> str:
    """One expiry for each grant."""
    return f"expiry/{grant_id}"


class Expiries:
    """When the next grant of each account expires."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, str]] = []
        self._next: dict[str, int] = {}

    def watch(self, accounts: Iterable[Account]) -> None:
        """Look again at accounts that changed."""
        for account in accounts:
            times = [at for grant in account.grants if (at := _expires_at_ms(grant)) is not None]
            if times and self._next.get(account.account_id) != min(times):
                self._next[account.account_id] = min(times)
                heappush(self._queue, (min(times), account.account_id))

    def due(self, at_ms: int) -> list[str]:
        """The accounts of which a grant has expired by ``at_ms``; each is told once, until it is watched again."""
        found = []
        while self._queue and self._queue[0][0] <= at_ms:
            time, account_id = heappop(self._queue)
            if self._next.get(account_id) == time:
                del self._next[account_id]
                found.append(account_id)
        return found


def expire(account: Account, at_ms: int) -> list[LedgerEntry]:
    """The entries that take off what is left of the account's expired grants, which are marked for it."""
    entries = []
    for grant in account.grants:
        expires_at_ms = _expires_at_ms(grant)
        if expires_at_ms is not None and expires_at_ms <= at_ms:
            grant.expiring = True
            entries.append(
                LedgerEntry(
                    account_id=account.account_id,
                    entry_id=expiry_id(grant.grant_id),
                    kind=EntryKind.EXPIRY,
                    amount=money(-grant.remaining_pico),
                    currency=account.currency,
                    grant_id=grant.grant_id,
                    made_at=time_of(at_ms),
                    made_by=MADE_BY,
                )
            )
    return entries


def _expires_at_ms(grant: Grant) -> int | None:
    """When something will have to be taken off; None: never, or it is on its way."""
    return grant.expires_at_ms if grant.remaining_pico > 0 and not grant.expiring else None
