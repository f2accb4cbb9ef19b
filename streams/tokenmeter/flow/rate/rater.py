"""Rates batches of events by a book: finds each distinct combination once, then multiplies in columns.

A customer's *path* is its plan, the accounts above it and theirs. A *case* is what else a price depends on: model,
provider, variant, tier and the segment of time and size. A path and a case make a rating, so 20 000 customers of 300
models are looked up as 20 300 strings, and as pairs of numbers only where they met.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock

import numpy as np
import polars as pl

from tokenmeter.events.catalog import Account, Plan, PriceTerms
from tokenmeter.events.catalog_row import DEFAULT_CURRENCY, BudgetScope, CatalogRow
from tokenmeter.events.lines import ERROR_STATUS_MIN
from tokenmeter.events.rating import rating_of
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.cases import MEMO_MAX, Cases, Steps
from tokenmeter.flow.rate.charging import used
from tokenmeter.flow.rate.int_table import MISSING, Ints, IntTable, Numbers
from tokenmeter.flow.rate.interning import NONE
from tokenmeter.flow.rate.lookup import Lookup
from tokenmeter.flow.rate.paths import Paths, People
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING
from tokenmeter.flow.rate.ratings import Ratings
from tokenmeter.flow.rate.resale import resale

KNOWN_MAX = 500_000
"""A rater that has given more numbers of a kind is replaced by a new one before the next page: numbers last as long as
their rater, so nothing is forgotten singly."""
_FAILED = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
_REQUESTS = pl.when(pl.col("corrects").is_null()).then(1).otherwise(pl.col("calls")) * (~_FAILED).cast(pl.Int64)
_CASES_MAX = 2**31


class _Memory:
    """What a rater learned of the prices of its book; the raters that follow share it until a price changes."""

    def __init__(self, book: Book) -> None:
        self.lock = RLock()
        self.people = People()
        self.steps = Steps()
        self.cases = Cases(book, self.steps)
        self.ratings = Ratings(book.price, self.people)
        self.numbers = IntTable()
        """The number of the rating of (path, case, BYOK)."""
        self.carried = Lookup({"rating": pl.String()}, self._resolve_carried)
        self._levels: dict[tuple[int, int, bool], int] = {}

    def size(self) -> int:
        """Of its largest part."""
        ratings = self.ratings
        return max(len(self.numbers), len(ratings), len(ratings.units), len(self.cases.lookup), len(self.carried))

    def resolve(self, keys: Ints) -> None:
        """Choose the prices of (path, case, BYOK) that nobody asked for before."""
        found = []
        for key in keys.tolist():
            rest, is_byok = divmod(key, 2)
            path, case = divmod(rest, _CASES_MAX)
            who, step = self.people.paths.values[path]
            found.append(self._rating(who, step, case, bool(is_byok)))
        self.ratings.publish()
        self.numbers.add(keys, np.array(found, np.int32))

    def _rating(self, who: int, step: int, case: int, byok: bool) -> int:
        _, above = self.steps.step(step)
        price_id, cost_id = self.cases.price_id(step, case, byok), self.cases.cost_id(case, byok)
        return self.ratings.number(who, price_id, cost_id, self._levels_from(above, case, byok))

    def _levels_from(self, step: int, case: int, byok: bool) -> int:
        """The node of what a step and those above it pay."""
        if step == NONE:
            return NONE
        node = self._levels.get((step, case, byok))
        if node is None:
            above = self._levels_from(self.steps.step(step)[1], case, byok)
            node = self.ratings.levels(self.cases.price_id(step, case, byok), above)
            if len(self._levels) >= MEMO_MAX:
                self._levels.clear()
            self._levels[step, case, byok] = node
        return node

    def _resolve_carried(self, unseen: pl.DataFrame) -> list[int]:
        found = [self.ratings.carried(rating_of(text)) for text in unseen["rating"]]
        self.ratings.publish()
        return found


class BookRater:
    """See ``tokenmeter.flow.rate.rated.Rater``. Threads may share one."""

    def __init__(self, book: Book, memory: _Memory | None = None) -> None:
        self.book = book
        self._memory = memory or _Memory(book)
        self._paths = Paths(book, self._memory.people, self._memory.steps)
        self._path_of = IntTable()
        names = ("account_id", "scope", "scope_id")
        budgets = pl.DataFrame(sorted(book.budgets), schema=dict.fromkeys(names, pl.String()), orient="row")
        self._budgets = {scope: budgets.filter(pl.col("scope") == scope) for scope in BudgetScope}

    @property
    def catalog_offset(self) -> int:
        """See Rater."""
        return self.book.catalog_offset

    @property
    def is_full(self) -> bool:
        """Whether it has given more than KNOWN_MAX numbers."""
        return max(self._memory.size(), len(self._path_of)) > KNOWN_MAX

    def follow(self, rows: Sequence[tuple[int, CatalogRow]], catalog_offset: int) -> BookRater:
        """A rater for the catalog with further rows, up to an offset. What it learned goes on as far as it holds: new
        customers come all the time, prices change seldom."""
        book = self.book.extended(rows, catalog_offset)
        if self.is_full or any(isinstance(row, PriceTerms) for _, row in rows):
            return BookRater(book)
        made = BookRater(book, self._memory)
        if not any(isinstance(row, Account | Plan) for _, row in rows):
            made._paths, made._path_of = self._paths, self._path_of
        return made

    def budgets(self, scope: BudgetScope) -> pl.DataFrame:
        """See Rater."""
        return self._budgets[scope]

    def currencies_of(self, accounts: pl.Series) -> pl.Series:
        """See Rater."""
        names = accounts.unique().to_list()
        rows = {name: self.book.accounts.newest(name) for name in names}
        of_name = {name: DEFAULT_CURRENCY if row is None else row.currency for name, row in rows.items()}
        return accounts.replace_strict(of_name, return_dtype=pl.String) if names else accounts.cast(pl.String)

    def rate(self, events: pl.DataFrame) -> pl.DataFrame:
        """See Rater."""
        numbers, ratings = self._numbers(events), self._memory.ratings
        calls = used(events, _REQUESTS)
        return events.with_columns_seq(
            pl.Series(RATING, numbers),
            ratings.units.charge(calls, ratings.column("price_id", numbers)).alias(CHARGE_PICO),
            ratings.units.charge(calls, ratings.column("cost_price_id", numbers)).alias(COST_PICO),
            ratings.currencies("currency", numbers),
            ratings.currencies("cost_currency", numbers),
        )

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """See Rater."""
        with self._memory.lock:
            return self._memory.ratings.terms(numbers)

    def resale(self, billing: pl.DataFrame) -> pl.DataFrame:
        """See Rater."""
        with self._memory.lock:
            return resale(billing, self._memory.ratings)

    def _numbers(self, events: pl.DataFrame) -> Numbers:
        """The number of each event's rating."""
        if not events.height:
            return np.zeros(0, np.int32)
        at_us = events["occurred_at"].dt.epoch("us").to_numpy()
        low_us, high_us = int(at_us.min()), int(at_us.max())
        paths = self._path_numbers(self._paths.keys(events, at_us, low_us, high_us))
        cases = self._learned(self._memory.cases.lookup, self._memory.cases.keys(events, at_us, low_us, high_us))
        numbers = self._rating_numbers((paths.astype(np.int64) * _CASES_MAX + cases) * 2 + events["byok"].to_numpy())
        if events["rating"].null_count() < events.height:
            carries = events["rating"].is_not_null()
            numbers[carries.to_numpy()] = self._learned(
                self._memory.carried, events.select_seq("rating").filter(carries)
            )
        return numbers

    def _path_numbers(self, keys: Ints) -> Numbers:
        found = self._path_of.find(keys)
        if (found == MISSING).any():
            with self._memory.lock:
                unseen = np.unique(keys[self._path_of.find(keys) == MISSING])
                self._path_of.add(unseen, np.array(self._paths.resolve(unseen), np.int32))
            found = self._path_of.find(keys)
        return found

    def _rating_numbers(self, keys: Ints) -> Numbers:
        memory = self._memory
        found = memory.numbers.find(keys)
        if (found == MISSING).any():
            with memory.lock:
                memory.resolve(np.unique(keys[memory.numbers.find(keys) == MISSING]))
            found = memory.numbers.find(keys)
        return found

    def _learned(self, lookup: Lookup, keys: pl.DataFrame) -> Numbers:
        found = lookup.find(keys)
        if (found == MISSING).any():
            with self._memory.lock:
                lookup.learn(keys)
            found = lookup.find(keys)
        return found
