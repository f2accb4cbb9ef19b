"""Ratings in columns: a number for each event, and what the numbers stand for.

An event of a kind that was met before has its number by hash; of every new kind one event is rated by ``charges``, the
record-by-record oracle. Equal ratings have equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tokenmeter.audit.charges import COUNTED, Charges
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.recount import KINDS, RESALE_LINES, UNRATED_KINDS, LineKind
from tokenmeter.audit.texts import hashed, texts
from tokenmeter.audit.walked import I64, U64
from tokenmeter.events.rating import Rating

UNPRICED = 0
"""The number of the price that is none."""
_OWN_KINDS = tuple(kind for kind in (*KINDS, *UNRATED_KINDS) if kind != RESALE_LINES)
_NUMBERS = ("level", "provisional")

Terms = dict[str, Any]


class Ratings:
    """For one recount after the other. ``price``, ``cost`` and ``hashes`` are by rating, ``weights`` by price: what one
    of each of COUNTED adds to a charge. The levels of a rating stand together from ``level_begin`` on."""

    def __init__(self, charges: Charges, key: Key) -> None:
        self._charges, self._key = charges, key
        self._x = -1
        self._known: U64 = np.empty(0, np.uint64)
        self._numbers: I64 = np.empty(0, np.int64)
        self._ratings: dict[Rating, int] = {}
        self._prices: dict[str | None, int] = {}
        self.currencies: dict[str | None, int] = {None: 0}
        none, nothing = np.empty(0, np.int64), np.empty(0, np.uint64)
        self.price, self.cost, self.currency, self.cost_currency = none, none, none, none
        self.depth, self.level_begin, self.level_price, self.level_hashes = none, none, none, nothing
        self.hashes: dict[LineKind, U64] = dict.fromkeys(_OWN_KINDS, nothing)
        self.weights: I64 = np.empty((0, len(COUNTED)), np.int64)
        self._price_numbers([None])

    def numbers(self, kinds: U64, event_at: Callable[[int], Mapping[str, Any]], x: int) -> I64:
        """The rating of each event; ``kinds`` are hashes of all that it depends on but ``x``, the catalog offset."""
        if x != self._x:
            self._x, self._known, self._numbers = x, self._known[:0], self._numbers[:0]
        place = np.searchsorted(self._known, kinds)
        known = place < len(self._known)
        known[known] = self._known[place[known]] == kinds[known]
        if not known.all():
            rows = np.flatnonzero(~known)
            new, first = np.unique(kinds[rows], return_index=True)
            rated = [self._charges.rating_of_event(event_at(row), x) for row in rows[first].tolist()]
            self._add([one for one in dict.fromkeys(rated) if one not in self._ratings])
            at = np.searchsorted(self._known, new)
            self._known = np.insert(self._known, at, new)
            self._numbers = np.insert(self._numbers, at, [self._ratings[one] for one in rated])
            place = np.searchsorted(self._known, kinds)
        return self._numbers[place]

    def _add(self, ratings: Sequence[Rating]) -> None:
        for one in ratings:
            self._ratings[one] = len(self._ratings)
        levels = [level for one in ratings for level in self._levels(one)]
        owns = [self._own(one) for one in ratings]
        self.price = np.append(self.price, self._price_numbers([own["price_id"] for own in owns]))
        self.cost = np.append(self.cost, self._price_numbers([own["cost_price_id"] for own in owns]))
        self.currency = np.append(self.currency, self._currency_numbers([own["currency"] for own in owns]))
        costs = self._currency_numbers([own["cost_currency"] for own in owns])
        self.cost_currency = np.append(self.cost_currency, costs)
        for kind in _OWN_KINDS:
            self.hashes[kind] = np.append(self.hashes[kind], self._hashed(kind, owns))
        depth = np.array([len(one.levels) for one in ratings], np.int64)
        self.depth = np.append(self.depth, depth)
        self.level_begin = np.append(self.level_begin, len(self.level_price) + np.cumsum(depth) - depth)
        self.level_price = np.append(self.level_price, self._price_numbers([level["price_id"] for level in levels]))
        self.level_hashes = np.append(self.level_hashes, self._hashed(RESALE_LINES, levels))

    def _own(self, rating: Rating) -> Terms:
        cost = rating.cost_price_id
        own = {"cost_price_id": cost, "cost_currency": self._charges.currency(cost), "plan_id": rating.plan_id}
        return {**own, "chain": rating.chain, **self._paid(rating.price_id)}

    def _levels(self, rating: Rating) -> list[Terms]:
        sellers = [*(level.account_id for level in rating.levels[1:]), None]
        return [
            {"account_id": level.account_id, "seller_id": sellers[place], "level": place + 1}
            | self._paid(level.price_id)
            for place, level in enumerate(rating.levels)
        ]

    def _paid(self, price_id: str | None) -> Terms:
        provisional = self._charges.provisional(price_id)
        return {"price_id": price_id, "currency": self._charges.currency(price_id), "provisional": provisional}

    def _hashed(self, kind: LineKind, rows: Sequence[Terms]) -> U64:
        """As ``facts.line_keys`` hashes these fields of lines on a topic."""
        state = self._key.begin(len(rows))
        for name in kind.rated:
            values = [row[name] for row in rows]
            if name in _NUMBERS:
                field = self._key.number(self._key.begin(len(rows)), np.array(values, np.int64))
            else:
                field = hashed(texts(values), self._key)
            state = self._key.number(state, field.view(np.int64))
        return state

    def _price_numbers(self, ids: Sequence[str | None]) -> I64:
        new = [one for one in dict.fromkeys(ids) if one not in self._prices]
        for one in new:
            self._prices[one] = len(self._prices)
        if new:
            rows = [self._weights(one) for one in new]
            self.weights = np.append(self.weights, np.array(rows, np.int64), axis=0)
        return np.array([self._prices[one] for one in ids], np.int64)

    def _weights(self, price_id: str | None) -> list[int]:
        each = self._charges.coefficients(price_id) or dict.fromkeys(COUNTED, 0)
        return [each[name] for name in COUNTED]

    def _currency_numbers(self, names: Sequence[str | None]) -> I64:
        for name in names:
            self.currencies.setdefault(name, len(self.currencies))
        return np.array([self.currencies[name] for name in names], np.int64)
