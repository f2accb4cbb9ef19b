"""The catalog as of one offset: what is in force at a time, and the rating of a single call by it.

The rules are those of ``tokenmeter/events/pricing.md``. Nothing here changes once it is made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from tokenmeter.events.catalog import Account, Budget, Plan, PriceTerms
from tokenmeter.events.catalog_row import (
    CHAIN_ACCOUNTS_MAX,
    COST_BOOK,
    DEFAULT_PLAN,
    LIST_BOOK,
    BudgetScope,
    CatalogRow,
)
from tokenmeter.events.rating import BYOK_COST, Level, Rating, parts_of, unit_prices
from tokenmeter.flow.rate.levels import Paid, byok_fee, of_row, paid_by, times
from tokenmeter.flow.rate.matching import Call, matches, patterns_of, rank
from tokenmeter.flow.rate.timeline import Timeline, epoch_us, minute_of_week

_LIST_PRICE = Plan(plan_id=DEFAULT_PLAN, base_book=LIST_BOOK, effective_from=datetime.fromtimestamp(0, UTC))
"""What ``default`` means where the catalog does not say."""


class Book:
    """The catalog's rows below ``catalog_offset``."""

    def __init__(self, rows: Iterable[tuple[int, CatalogRow]] = (), catalog_offset: int = 0) -> None:
        """``rows`` are (offset on the topic, row), every offset below ``catalog_offset``."""
        self.catalog_offset = catalog_offset
        self.prices: Timeline[tuple[object, ...], PriceTerms] = Timeline()
        self.plans: Timeline[str, Plan] = Timeline()
        self.accounts: Timeline[str, Account] = Timeline()
        self.budgets: frozenset[tuple[str, str, str]] = frozenset()
        """(account, scope, scope id) of every budget of a part of an account."""
        self._keys_of: dict[tuple[str, str], list[tuple[object, ...]]] = {}
        self._by_row_id: dict[str, PriceTerms] = {}
        self._take(rows)

    def extended(self, rows: Iterable[tuple[int, CatalogRow]], catalog_offset: int) -> Book:
        """The book with what came after it on the topic."""
        made = Book(catalog_offset=catalog_offset)
        made.prices, made.plans, made.accounts = self.prices, self.plans, self.accounts
        made.budgets = self.budgets
        made._keys_of, made._by_row_id = dict(self._keys_of), dict(self._by_row_id)
        made._take(rows)
        return made

    def _take(self, rows: Iterable[tuple[int, CatalogRow]]) -> None:
        timed = [(epoch_us(row.effective_from), offset, row) for offset, row in rows]
        prices = [(row.key, since, offset, row) for since, offset, row in timed if isinstance(row, PriceTerms)]
        plans = [(row.plan_id, since, offset, row) for since, offset, row in timed if isinstance(row, Plan)]
        accounts = [(row.account_id, since, offset, row) for since, offset, row in timed if isinstance(row, Account)]
        budgets = [row for _, _, row in timed if isinstance(row, Budget) and row.scope != BudgetScope.ACCOUNT]
        self.budgets |= {(row.account_id, str(row.scope), row.scope_id) for row in budgets}
        keys: dict[tuple[str, str], dict[tuple[object, ...], None]] = defaultdict(dict)
        for key, _, _, row in prices:
            keys[row.book, row.model][key] = None
            self._by_row_id[row.row_id] = row
        for name, added in keys.items():
            self._keys_of[name] = [*dict.fromkeys((*self._keys_of.get(name, ()), *added))]
        self.prices = self.prices.extended(prices)
        self.plans = self.plans.extended(plans)
        self.accounts = self.accounts.extended(accounts)

    def price(self, row_id: str) -> PriceTerms | None:
        """The price row with this id, in force or not."""
        return self._by_row_id.get(row_id)

    def units(self, price_id: str) -> dict[str, int] | None:
        """Unit prices of a price id in pico-units, by PRICED_FIELDS; None when the id prices nothing: its row is not
        in the catalog, or one of its unit prices is beyond UNIT_PRICE_MAX after a factor."""
        row_id, factors = parts_of(price_id)
        row = self.price(row_id)
        if row is None:
            return None
        paid: Paid | None = of_row(row)
        for factor in factors:
            paid = None if paid is None else times(paid, factor)
        return None if paid is None else unit_prices(row.units_pico(), factors)

    def best(self, book: str, call: Call, at: datetime) -> PriceTerms | None:
        """The best price of a book for a call that ended at ``at``."""
        return self.best_at(book, call, epoch_us(at), minute_of_week(epoch_us(at)))

    def best_at(self, book: str, call: Call, at_us: int, minute: int) -> PriceTerms | None:
        """The best of the prices in force at a time, for a minute of the week."""
        found = [
            price
            for pattern in patterns_of(call.model)
            for key in self._keys_of.get((book, pattern), ())
            if (price := self.prices.in_force(key, at_us)) is not None and matches(price, call, minute)
        ]
        return max(found, key=rank) if found else None

    def plan_id_of(self, account_id: str, at: datetime) -> str:
        """The plan that an account is on."""
        return self.plan_id_at(account_id, epoch_us(at))

    def plan_id_at(self, account_id: str, at_us: int) -> str:
        """As ``plan_id_of``."""
        row = self.accounts.in_force(account_id, at_us)
        return DEFAULT_PLAN if row is None else row.plan_id

    def plan_of(self, account_id: str, at: datetime) -> Plan | None:
        """The terms of an account's plan; None when there are none, so that it prices nothing."""
        return self.plan_at(self.plan_id_of(account_id, at), epoch_us(at))

    def plan_at(self, plan_id: str, at_us: int) -> Plan | None:
        """The terms of a plan; ``default`` has some even without a row."""
        row = self.plans.in_force(plan_id, at_us)
        return _LIST_PRICE if row is None and plan_id == DEFAULT_PLAN else row

    def chain_of(self, account_id: str, at: datetime) -> tuple[str, ...]:
        """The account and those above it, nearest first."""
        return self.chain_at(account_id, epoch_us(at))

    def chain_at(self, account_id: str, at_us: int) -> tuple[str, ...]:
        """As ``chain_of``."""
        chain = [account_id]
        while len(chain) < CHAIN_ACCOUNTS_MAX:
            row = self.accounts.in_force(chain[-1], at_us)
            if row is None or row.parent_id is None or row.parent_id in chain:
                break
            chain.append(row.parent_id)
        return tuple(chain)

    def rating(self, call: Call, at: datetime) -> Rating:
        """What a call that ended at ``at`` is charged by, at every level."""
        at_us = epoch_us(at)
        chain = self.chain_at(call.customer_id, at_us)
        paid: Paid | None = None
        ids: list[str | None] = []
        for account in reversed(chain):
            plan = self.plan_at(self.plan_id_at(account, at_us), at_us)
            paid = paid_by(plan, paid, account == chain[-1], lambda book: self._offer(book, call, at))
            owed = byok_fee(plan, self._offer(LIST_BOOK, call, at)) if call.byok else paid
            ids.insert(0, None if owed is None else owed.price_id)
        cost = self.best(COST_BOOK, call, at)
        return Rating(
            ids[0],
            BYOK_COST if call.byok else None if cost is None else cost.row_id,
            self.plan_id_at(call.customer_id, at_us),
            tuple(Level(account, price) for account, price in zip(chain[1:], ids[1:], strict=True)),
        )

    def _offer(self, book: str, call: Call, at: datetime) -> Paid | None:
        row = self.best(book, call, at)
        return None if row is None else of_row(row)
