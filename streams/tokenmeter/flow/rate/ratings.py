"""The ratings that a rater gave numbers to, and what each of them stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote

import numpy as np
import polars as pl

from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.contract import PRICED_FIELDS
from tokenmeter.events.rating import BYOK_COST, Rating
from tokenmeter.flow.rate.charging import UNPRICED, UnitPrices
from tokenmeter.flow.rate.int_table import Numbers
from tokenmeter.flow.rate.interning import NONE, Interner
from tokenmeter.flow.rate.paths import People
from tokenmeter.flow.rate.rated import RATING, TERMS

Facts: TypeAlias = tuple[int, str | None, bool]
_COLUMNS = ("price_id", "cost_price_id", "currency", "cost_currency", "provisional")
ACCOUNTS_CACHED_MAX = 100_000


class _Texts:
    """A list of many texts that grows, as a column. For one thread at a time."""

    def __init__(self, values: Sequence[str | None]) -> None:
        self._values = values
        self._column = pl.Series(dtype=pl.String)

    def chosen(self, name: str, indices: Numbers) -> pl.Series:
        """Those at ``indices``."""
        self._column.extend(pl.Series(self._values[len(self._column) :], dtype=pl.String))
        return self._column.gather(pl.Series(indices)).alias(name)


class Ratings:
    """Numbers for ratings: equal numbers, equal ids, and the other way round.

    Numbers are given by one thread at a time, and then shown by ``publish``; anybody may read what is shown.
    """

    def __init__(self, price: Callable[[str], PriceTerms | None], people: People) -> None:
        """``price`` tells the price row of a row id."""
        self._price = price
        self._people = people
        self.units = UnitPrices(self._units_of)
        self._levels: Interner[tuple[str | None, int]] = Interner()
        """Linked: the price id of a level, and the node of those above it."""
        self._prices: Interner[tuple[str | None, str | None, int]] = Interner()
        """(price id, cost price id, levels)."""
        self._numbers: Interner[tuple[int, int]] = Interner()
        """(who, prices)."""
        self._facts: dict[str | None, Facts] = {}
        self._currencies: Interner[str | None] = Interner(None)
        self._of_prices = np.zeros((len(_COLUMNS), 0), np.int32)
        self._of_number = np.zeros((2, 0), np.int32)
        self._plans: Interner[str | None] = Interner()
        self._chains: Interner[str | None] = Interner()
        self._written = np.zeros((2, 0), np.int32)
        """Of each number, as far as its terms were asked for: the numbers of its plan and of its chain."""
        self._ids, self._chain_texts = _Texts(self.units.ids), _Texts(self._chains.values)

    def __len__(self) -> int:
        return len(self._numbers)

    def levels(self, price_id: str | None, above: int) -> int:
        """The node of a level that pays this, below another node or NONE."""
        return self._levels.number((price_id, above))

    def number(self, who: int, price_id: str | None, cost_price_id: str | None, levels: int) -> int:
        """The number of a rating."""
        return self._numbers.number((who, self._prices.number((price_id, cost_price_id, levels))))

    def carried(self, rating: Rating) -> int:
        """The number of a rating that a correction carries: an id that prices nothing here is null in it."""
        node, levels = NONE, NONE
        for level in reversed(rating.levels):
            node = self._people.accounts.number((level.account_id, node))
            levels = self.levels(self.known(level.price_id), levels)
        who = self._people.whos.number((rating.plan_id, node))
        cost = rating.cost_price_id if rating.cost_price_id == BYOK_COST else self.known(rating.cost_price_id)
        return self.number(who, self.known(rating.price_id), cost, levels)

    def known(self, price_id: str | None) -> str | None:
        """The id if an account can be charged by it, else None."""
        # Nobody is charged by "byok": it is what a call costs, and no price row.
        return None if price_id == BYOK_COST or self.units.line(price_id) == UNPRICED else price_id

    def publish(self) -> None:
        """Let columns be read for the numbers given so far."""
        shown = self._of_prices.shape[1]
        rows = [self._row(*prices) for prices in self._prices.values[shown:]]
        self._of_prices = np.append(self._of_prices, np.array(rows, np.int32).reshape(-1, len(_COLUMNS)).T, axis=1)
        pairs = np.array(self._numbers.values[self._of_number.shape[1] :], np.int32).reshape(-1, 2).T
        self._of_number = np.append(self._of_number, pairs, axis=1)

    def _row(self, price_id: str | None, cost_price_id: str | None, _: int) -> tuple[int, ...]:
        line, currency, provisional = self.facts(price_id)
        cost_line, cost_currency, _ = self.facts(cost_price_id)
        currencies = (self._currencies.number(one) for one in (currency, cost_currency))
        return line, cost_line, *currencies, provisional

    def column(self, name: str, numbers: Numbers) -> Numbers:
        """Of each number: the line of its ``price_id`` or ``cost_price_id`` among ``units``, or a number for its
        currency or whether it is provisional."""
        values: Numbers = self._of_prices[_COLUMNS.index(name)]
        prices: Numbers = self._of_number[1].take(numbers)
        return values.take(prices)

    def currencies(self, name: str, numbers: Numbers) -> pl.Series:
        """``currency`` or ``cost_currency`` of each number."""
        return _chosen(name, self._currencies.values, self.column(name, numbers))

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """RATING and TERMS of these numbers."""
        wanted = np.array(numbers, np.int32)
        self._learn(wanted)
        return pl.DataFrame(
            [
                pl.Series(RATING, wanted),
                *(self._ids.chosen(name, self.column(name, wanted)) for name in ("price_id", "cost_price_id")),
                _chosen("plan_id", self._plans.values, self._written[0].take(wanted)),
                self._chain_texts.chosen("chain", self._written[1].take(wanted)),
                *(self.currencies(name, wanted) for name in ("currency", "cost_currency")),
                pl.Series("provisional", self.column("provisional", wanted).astype(np.bool_)),
            ]
        ).select_seq(RATING, *TERMS)

    def _learn(self, wanted: Numbers) -> None:
        """Write down the plan and the chain of the ratings whose terms nobody asked for before."""
        more = len(self._of_number[0]) - self._written.shape[1]
        self._written = np.append(self._written, np.full((2, more), NONE, np.int32), axis=1)
        unseen = wanted[self._written[0].take(wanted) == NONE]
        texts: dict[tuple[int, int], str | None] = {(NONE, NONE): None}
        for number, (who, prices) in zip(unseen.tolist(), self._of_number.take(unseen, axis=1).T.tolist(), strict=True):
            plan_id, node = self._people.whos.values[who]
            chain = self._chain(node, self._prices.values[prices][2], texts)
            self._written[:, number] = self._plans.number(plan_id), self._chains.number(chain)

    def _chain(self, node: int, levels: int, texts: dict[tuple[int, int], str | None]) -> str | None:
        """``Rating.chain``, made of the chain above that many share."""
        if (node, levels) not in texts:
            account_id, node_above = self._people.accounts.values[node]
            price_id, levels_above = self._levels.values[levels]
            above = self._chain(node_above, levels_above, texts)
            own = f"{_quoted(account_id)}@{price_id or ''}"
            texts[node, levels] = own if above is None else f"{own};{above}"
        return texts[node, levels]

    def facts(self, price_id: str | None) -> Facts:
        """Of a price id: its line among ``units``, its row's currency, whether the row stands in for the real one."""
        facts = self._facts.get(price_id)
        if facts is None:
            row = None if price_id is None else self._price(price_id.partition("*")[0])
            line, currency = self.units.line(price_id), None if row is None else row.currency
            facts = self._facts[price_id] = line, currency, row is not None and row.provisional
        return facts

    def _units_of(self, row_id: str) -> dict[str, int] | None:
        if row_id == BYOK_COST:
            return dict.fromkeys(PRICED_FIELDS, 0)
        row = self._price(row_id)
        return None if row is None else row.units_pico()


_quoted = lru_cache(ACCOUNTS_CACHED_MAX)(quote)


def _chosen(name: str, values: Sequence[str | None], indices: Numbers) -> pl.Series:
    return pl.Series(name, values, pl.String).gather(pl.Series(indices))
