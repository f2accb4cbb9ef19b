"""Customers' paths: a customer's plan, the accounts above it and their plans, by the time of the call."""

from __future__ import annotations

import numpy as np
import polars as pl

from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.cases import Steps
from tokenmeter.flow.rate.int_table import MISSING, Ints
from tokenmeter.flow.rate.interning import NONE, Interner
from tokenmeter.flow.rate.lookup import Lookup
from tokenmeter.flow.rate.segments import BEFORE_ALL, Cuts

Who = tuple[str | None, int]
"""A plan, and the node of the accounts above the customer."""


class People:
    """Numbers for who is charged; kept when the accounts change. For one thread at a time."""

    def __init__(self) -> None:
        self.accounts: Interner[tuple[str, int]] = Interner()
        """Linked: an account, and the node of those above it."""
        self.whos: Interner[Who] = Interner()
        self.paths: Interner[tuple[int, int]] = Interner()
        """(who, step of the customer's plan)."""


class Paths:
    """The paths of the customers of a book."""

    def __init__(self, book: Book, people: People, steps: Steps) -> None:
        self._book = book
        self._people = people
        self._steps = steps
        self._times = Cuts(book.accounts.times_us() | book.plans.times_us(), BEFORE_ALL)
        self._account_ids = ["", *book.accounts.keys()]
        # Who has no row is nobody in particular: all of them are one account, on the plan default.
        ids = pl.DataFrame({"customer_id": self._account_ids[1:]}, schema={"customer_id": pl.String})
        self._accounts = Lookup({"customer_id": pl.String()}, lambda unseen: range(1, unseen.height + 1))
        self._accounts.learn(ids)

    def keys(self, events: pl.DataFrame, at_us: Ints, low_us: int, high_us: int) -> Ints:
        """What to look up for each event: its account and the segment of time."""
        accounts = self._accounts.find(events.select_seq("customer_id"))
        accounts[accounts == MISSING] = 0
        return accounts.astype(np.int64) * len(self._times) + self._times.pieces(at_us, low_us, high_us)

    def resolve(self, keys: Ints) -> list[int]:
        """The number of each key's path."""
        found = []
        for key in keys.tolist():
            account, piece = divmod(key, len(self._times))
            found.append(self._path(self._account_ids[account], self._times.start(piece)))
        return found

    def _path(self, customer_id: str, at_us: int) -> int:
        people, book = self._people, self._book
        chain = book.chain_at(customer_id, at_us)
        step, node = NONE, NONE
        for account_id in reversed(chain[1:]):
            step = self._steps.number(book.plan_at(book.plan_id_at(account_id, at_us), at_us), step)
            node = people.accounts.number((account_id, node))
        plan_id = book.plan_id_at(customer_id, at_us)
        step = self._steps.number(book.plan_at(plan_id, at_us), step)
        return people.paths.number((people.whos.number((plan_id, node)), step))
