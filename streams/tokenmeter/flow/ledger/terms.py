"""What the catalog says of an account, as the ledger needs it: mode, limit, status, thresholds, budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import AccountMode, AccountStatus, BudgetScope, BudgetWindow
from tokenmeter.events.ledger import Reason
from tokenmeter.events.rating import pico

DEFAULT_THRESHOLDS_PERCENT = (50, 80, 95, 100)
FORECAST_HOURS = 24


@dataclass(frozen=True)
class LedgerRules:
    """What an operator may set. ``unpriced_calls_max``: a prepaid account with more unpriced calls is refused;
    None: usage without a price refuses nobody."""

    forecast_hours: int = FORECAST_HOURS
    thresholds_percent: tuple[int, ...] = DEFAULT_THRESHOLDS_PERCENT
    unpriced_calls_max: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """The amount of one budget for each of its windows."""

    window: str
    amount_pico: int


@dataclass(frozen=True, slots=True)
class Terms:
    """An account's terms. ``limit_pico`` of a prepaid account is what it may overdraw; None is 0 there, and no limit of
    a postpaid one. ``budgets`` by (scope, scope_id); those of the account itself under (None, None)."""

    prepaid: bool
    currency: str
    limit_pico: int | None
    thresholds_percent: tuple[int, ...]
    status: str
    budgets: dict[tuple[str | None, str | None], tuple[BudgetTerms, ...]]
    mode: str = field(init=False)
    stopped: Reason | None = field(init=False)
    """Why the account may not call whatever its balance, or None."""

    def __post_init__(self) -> None:
        # Looked at for each account of each page: members of an enum are slow to look up.
        stopped = {AccountStatus.CLOSED: Reason.CLOSED, AccountStatus.SUSPENDED: Reason.SUSPENDED}
        object.__setattr__(self, "stopped", stopped.get(AccountStatus(self.status)))
        object.__setattr__(self, "mode", str(AccountMode.PREPAID if self.prepaid else AccountMode.POSTPAID))


class TermsBook(Protocol):
    """The catalog as the ledger asks it."""

    def terms(self, account_id: str) -> Terms:
        """The terms in force. The same object for the same terms: the ledger compares by identity."""


def terms_of(account: Account | None, budgets: Iterable[Budget], rules: LedgerRules) -> Terms:
    """The terms that an account's row in force and its budgets in force make. No row: postpaid without a limit.

    A budget in another currency than the account's is left out: its amounts would never be added to.
    """
    currency = "USD" if account is None else account.currency
    made: dict[tuple[str | None, str | None], tuple[BudgetTerms, ...]] = {}
    for budget in sorted(budgets, key=lambda one: list(BudgetWindow).index(BudgetWindow(one.window))):
        if budget.currency == currency:
            key = (None, None) if budget.scope == BudgetScope.ACCOUNT else (str(budget.scope), budget.scope_id)
            made[key] = (*made.get(key, ()), BudgetTerms(str(budget.window), pico(budget.amount)))
    if account is None:
        return Terms(False, currency, None, rules.thresholds_percent, AccountStatus.ACTIVE, made)
    return Terms(
        account.mode == AccountMode.PREPAID,
        currency,
        None if account.credit_limit is None else pico(account.credit_limit),
        tuple(sorted(set(account.thresholds_percent))) or rules.thresholds_percent,
        str(account.status),
        made,
    )


class MemoryTerms:
    """A TermsBook of rows at hand."""

    def __init__(
        self, accounts: Iterable[Account] = (), budgets: Iterable[Budget] = (), rules: LedgerRules | None = None
    ) -> None:
        self._rules = rules or LedgerRules()
        self._accounts = {account.account_id: account for account in accounts}
        self._budgets: dict[str, list[Budget]] = {}
        for budget in budgets:
            self._budgets.setdefault(budget.account_id, []).append(budget)
        self._default = terms_of(None, (), self._rules)
        self._made = {
            account_id: terms_of(self._accounts.get(account_id), self._budgets.get(account_id, ()), self._rules)
            for account_id in self._accounts.keys() | self._budgets.keys()
        }

    def terms(self, account_id: str) -> Terms:
        """See TermsBook."""
        return self._made.get(account_id, self._default)
