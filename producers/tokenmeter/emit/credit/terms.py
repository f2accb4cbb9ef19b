"""What the cache keeps of the catalog: whom each account pays, its status, and budgets of nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from tokenmeter.emit.credit.standing import STOPPED
from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import AccountMode, BudgetScope, CatalogRow
from tokenmeter.events.ledger import Reason


class Terms(NamedTuple):
    """``clear``: nothing here refuses anything. ``opening`` is why an account may not call before its first entry.

    ``blocked``: (scope, scope_id, window) of budgets of zero.
    """

    parent_id: str | None
    clear: bool
    has_row: bool
    stopped: str | None
    opening: str | None
    blocked: frozenset[tuple[str, str, str]]

    def blocks(self, scope: str, scope_id: str | None) -> bool:
        """Whether a part, or with scope ACCOUNT all of the account, has a budget of zero."""
        return any(one[0] == scope and (one[1] == scope_id or scope == BudgetScope.ACCOUNT) for one in self.blocked)


NO_ROW = Terms(None, True, False, None, None, frozenset())
_Key = tuple[str, ...]


class TermsInForce:
    """Rows come in the order of the topic; ``advance`` tells the time, which may also stand still.

    ``get`` and ``put`` reach the accounts' terms, which somebody else keeps.
    """

    def __init__(self, get: Callable[[str], Terms], put: Callable[[str, Terms], None]) -> None:
        self._get, self._put = get, put
        self._since: dict[str | _Key, float] = {}
        self._later: list[tuple[float, int, Account | Budget]] = []

    def add(self, offset: int, row: CatalogRow, now: float) -> None:
        """Take one row; those of other kinds are passed over."""
        if not isinstance(row, Account | Budget):
            return
        since = row.effective_from.timestamp()
        if since > now:
            heappush(self._later, (since, offset, row))
        else:
            self._enforce(row, since)

    def advance(self, now: float) -> None:
        """Put into force what has become due."""
        while self._later and self._later[0][0] <= now:
            since, _, row = heappop(self._later)
            self._enforce(row, since)

    def _enforce(self, row: Account | Budget, since: float) -> None:
        """Unless one with a later time is in force. At the same time the later row counts, so ties are taken."""
        key = row.account_id if isinstance(row, Account) else row.key
        if self._since.get(key, since) > since:
            return
        self._since[key] = since
        terms = self._get(row.account_id)
        made = _with_account(terms, row) if isinstance(row, Account) else _with_budget(terms, row)
        self._put(row.account_id, made._replace(clear=made.stopped is None and not made.blocked))


def _with_account(terms: Terms, row: Account) -> Terms:
    return terms._replace(
        parent_id=row.parent_id, has_row=True, stopped=STOPPED.get(str(row.status)), opening=_opening(row)
    )


def _opening(row: Account) -> str | None:
    """Nothing granted yet: a prepaid account, or a postpaid one with a limit of zero, has nothing to use."""
    usable = row.mode == AccountMode.POSTPAID if row.credit_limit is None else row.credit_limit > 0
    return None if usable else Reason.EXHAUSTED.value


def _with_budget(terms: Terms, row: Budget) -> Terms:
    """A budget of zero refuses without any window of it: nobody spends what the ledger could count."""
    budget = {(str(row.scope), row.scope_id, str(row.window))}
    return terms._replace(blocked=terms.blocked | budget if row.amount == 0 else terms.blocked - budget)
