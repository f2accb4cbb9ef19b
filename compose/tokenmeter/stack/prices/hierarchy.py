"""What is wrong with accounts and plans: parents and plans that are not there, circles, depth, currencies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from tokenmeter.events.catalog import Account, Plan, Price, PriceTerms
from tokenmeter.events.catalog_row import CHAIN_ACCOUNTS_MAX, COST_BOOK, DEFAULT_PLAN, LIST_BOOK, CatalogRow, PlanBase
from tokenmeter.stack.prices.catalog import Catalog


class World:
    """The accounts, plans and books of one time."""

    def __init__(self, catalog: Catalog, at: datetime) -> None:
        self.at = at
        self.accounts: Mapping[str, Account] = {row.account_id: row for row in catalog.in_force(Account, at)}
        self.plans: Mapping[str, Plan] = {row.plan_id: row for row in catalog.in_force(Plan, at)}
        self.currencies: dict[str, set[str]] = {}
        for row in catalog.in_force(Price, at):
            if isinstance(row, PriceTerms) and not row.withdrawn:
                self.currencies.setdefault(row.book, set()).add(row.currency)

    def problems(self, touched: Iterable[CatalogRow]) -> Iterator[tuple[CatalogRow, str]]:
        """(a row of ``touched``, why it cannot be), for what those rows say and what they change for others."""
        accounts = {row.account_id: row for row in touched if isinstance(row, Account)}
        plans = {row.plan_id: row for row in touched if isinstance(row, Plan)}
        books = {row.book: row for row in touched if isinstance(row, PriceTerms)}
        for plan_id, plan in self.plans.items():
            cause: CatalogRow | None = plans.get(plan_id) or next(
                (books[book] for book in _books(plan) if book in books), None
            )
            if cause is not None and (reason := self._plan(plan, plan.currency)) is not None:
                yield cause, reason
        mover: CatalogRow | None
        told: set[frozenset[str]] = set()
        for account_id, account in self.accounts.items():
            if self._reaches(account_id, accounts):
                chain, parent = self._chain_of(account_id), account.parent_id
                reason = self._depth(chain)
                if reason is None and account_id in accounts and parent is not None and parent not in self.accounts:
                    reason = f"parent {parent} of account {account_id} is not there"
                # A circle is told once, not for each account in it.
                if reason is not None and frozenset(chain) not in told:
                    told.add(frozenset(chain))
                    yield next(accounts[one] for one in chain if one in accounts), reason
            mover = accounts.get(account_id) or plans.get(account.plan_id)
            if mover is not None and (reason := self._on_plan(account)) is not None:
                yield mover, reason

    def _reaches(self, account_id: str, touched: Mapping[str, Account]) -> bool:
        return bool(touched) and any(one in touched for one in self._chain_of(account_id))

    def _chain_of(self, account_id: str) -> list[str]:
        """The account and those above it; where it goes in a circle, once around."""
        chain = [account_id]
        while True:
            row = self.accounts.get(chain[-1])
            if row is None or row.parent_id is None or row.parent_id in chain:
                return chain
            chain.append(row.parent_id)

    def _depth(self, chain: list[str]) -> str | None:
        last = self.accounts.get(chain[-1])
        if last is not None and last.parent_id is not None and last.parent_id in chain:
            return f"accounts go in a circle: {' → '.join([*chain, last.parent_id])}"
        if len(chain) > CHAIN_ACCOUNTS_MAX:
            return (
                f"account {chain[0]} would have {len(chain) - 1} accounts above it, "
                f"{CHAIN_ACCOUNTS_MAX - 1} at most: {' → '.join(chain)}"
            )
        return None

    def _on_plan(self, account: Account) -> str | None:
        """What is wrong with an account being on its plan."""
        plan = self.plans.get(account.plan_id)
        if plan is None:
            if account.plan_id == DEFAULT_PLAN:
                return self._foreign(LIST_BOOK, account.currency, f"account {account.account_id}, on the list prices")
            return f"plan {account.plan_id} of account {account.account_id} is not there"
        if plan.currency not in (None, account.currency):
            return (
                f"account {account.account_id} is in {account.currency}, its plan {plan.plan_id} in {plan.currency}: "
                "nothing would be priced"
            )
        return self._plan(plan, account.currency, f"account {account.account_id} on ")

    def _plan(self, plan: Plan, currency: str | None, who: str = "") -> str | None:
        """What is wrong with a plan in a currency."""
        if currency is None:
            return None
        told = (self._foreign(book, currency, f"{who}plan {plan.plan_id}") for book in _books(plan))
        return next((reason for reason in told if reason is not None), None)

    def _foreign(self, book: str, currency: str, who: str) -> str | None:
        found = self.currencies.get(book)
        if not found or currency in found:
            return None
        return f"{who} is in {currency}, its book {book} in {', '.join(sorted(found))}: nothing would be priced"


def _books(plan: Plan) -> list[str]:
    base = plan.base_book if plan.base == PlanBase.BOOK else COST_BOOK
    return [book for book in (base, plan.override_book) if book is not None]
