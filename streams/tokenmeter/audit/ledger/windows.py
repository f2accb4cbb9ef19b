"""Budgets and their windows: which an account has, since when, and what each window is called. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

from tokenmeter.audit.ledger.account import NEVER_MS
from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import BudgetScope, BudgetWindow, CatalogRow
from tokenmeter.events.contract import DAY_MS

SEEN_MS = 300_000
"""In this time the ledger has surely seen a row of the catalog, whatever the clocks."""
GRACE_DAYS = 2
_EPOCH = date(1970, 1, 1)

Part = tuple[str | None, str | None]
"""(scope, scope_id) of a budget; (None, None) is the account itself."""


@dataclass(frozen=True)
class BudgetSince:
    """A budget's window: an entry before ``from_ms`` does not count to it, one at or after ``surely_ms`` does."""

    window: str
    from_ms: int
    surely_ms: int


Budgets = Mapping[Part, tuple[BudgetSince, ...]]


@dataclass(frozen=True)
class Terms:
    """All that the catalog has ever said of an account: its currencies, limits by mode, and budgets."""

    currencies: frozenset[str] = frozenset({"USD"})
    limits: frozenset[tuple[str, int | None]] = frozenset()
    budgets: Mapping[str, Budgets] | None = None
    """By currency: a budget in another one than the account's is none."""


class TermsBook:
    """The terms of accounts; ``appended_ms``: when each row was written, by offset."""

    def __init__(self, rows: Iterable[tuple[int, CatalogRow]], appended_ms: Mapping[int, int]) -> None:
        self.accounts: dict[str, list[Account]] = defaultdict(list)
        first: dict[str, dict[tuple[str, Part], dict[str, tuple[int, int]]]] = defaultdict(lambda: defaultdict(dict))
        for offset, row in rows:
            if isinstance(row, Account):
                self.accounts[row.account_id].append(row)
            elif isinstance(row, Budget):
                part: Part = (None, None) if row.scope == BudgetScope.ACCOUNT else (str(row.scope), row.scope_id)
                since = round(row.effective_from.timestamp() * 1_000)
                known = max(since, appended_ms.get(offset, NEVER_MS - SEEN_MS)) + SEEN_MS
                spans = first[row.account_id][row.currency, part]
                before = spans.get(str(row.window), (since, known))
                spans[str(row.window)] = min(before[0], since), min(before[1], known)
        self._budgets = {name: _budgets(found) for name, found in first.items()}

    def budgets(self, account_id: str, currency: str) -> Budgets:
        """The budgets of an account in its currency."""
        return self._budgets.get(account_id, {}).get(currency, {})

    def unsure_ms(self, account_id: str) -> tuple[int, int]:
        """[from, until): entries in it may count to a window or not; (0, 0) where there is no such time."""
        spans = [one for of in self._budgets.get(account_id, {}).values() for found in of.values() for one in found]
        return (min(one.from_ms for one in spans), max(one.surely_ms for one in spans)) if spans else (0, 0)


def _budgets(found: Mapping[tuple[str, Part], Mapping[str, tuple[int, int]]]) -> dict[str, Budgets]:
    made: dict[str, dict[Part, tuple[BudgetSince, ...]]] = defaultdict(dict)
    for (currency, part), spans in found.items():
        made[currency][part] = tuple(BudgetSince(window, *span) for window, span in spans.items())
    return dict(made)


@cache
def window_of(window: str, day: int) -> str:
    """The window that holds a UTC day, a number since 1970: 2026-11-30, 2026-W48, 2026-11 or lifetime."""
    at = _EPOCH + timedelta(days=day)
    if window == BudgetWindow.DAY:
        return f"{at:%Y-%m-%d}"
    if window == BudgetWindow.WEEK:
        return f"{at:%G-W%V}"
    return f"{at:%Y-%m}" if window == BudgetWindow.MONTH else "lifetime"


@cache
def forgotten_at_ms(window: str) -> int:
    """When a window is forgotten: two days after its end."""
    if window == "lifetime":
        return NEVER_MS
    if "W" in window:
        end = datetime.strptime(f"{window}-1", "%G-W%V-%u") + timedelta(weeks=1)
    elif window.count("-") == 1:
        end = (datetime.strptime(window, "%Y-%m") + timedelta(days=31)).replace(day=1)
    else:
        end = datetime.strptime(window, "%Y-%m-%d") + timedelta(days=1)
    return int(end.replace(tzinfo=UTC).timestamp()) * 1_000 + GRACE_DAYS * DAY_MS
