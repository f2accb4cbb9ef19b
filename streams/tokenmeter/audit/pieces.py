"""Cuts time, the week and sizes where a catalog's rows begin and end: calls in one piece are rated alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from tokenmeter.audit.hashing import Key
from tokenmeter.audit.texts import hashed, texts
from tokenmeter.audit.walked import I64, U64
from tokenmeter.events.catalog import Account, PriceTerms
from tokenmeter.events.catalog_row import EVERY_WEEKDAY, MINUTES_PER_DAY, CatalogRow

MINUTE_US = 60_000_000
DAY_US = MINUTES_PER_DAY * MINUTE_US
DAYS_PER_WEEK = 7
THURSDAY = 3
"""1970 began on one; Monday is 0."""
_EPOCH = datetime.fromtimestamp(0, UTC)


class Pieces:
    """The pieces of all rows of the catalog, whenever they became known: too many are no harm. ``key`` hashes accounts'
    names; each page is rated by all rows below offset ``settled`` and some more, or by none."""

    def __init__(self, placed: Sequence[tuple[int, CatalogRow]], key: Key, settled: int = 0) -> None:
        rows = [row for _, row in placed]
        prices = [row for row in rows if isinstance(row, PriceTerms)]
        self._times = _sorted([(row.effective_from - _EPOCH) // timedelta(microseconds=1) for row in rows])
        self._sizes = _sorted([row.min_input_tokens for row in prices])
        edges = [edge for row in prices for edge in (row.window_start_minute, row.window_end_minute)]
        self._minutes = _sorted([edge for edge in edges if edge is not None])
        self._has_week = bool(len(self._minutes)) or any(row.weekdays != EVERY_WEEKDAY for row in prices)
        alike = _alike(placed, settled)
        accounts, payers = (hashed(texts(list(names)), key) for names in (alike.keys(), alike.values()))
        order = np.argsort(accounts)
        self._accounts, self._payers = accounts[order], payers[order]

    def of(self, occurred_at_us: I64, input_tokens: I64) -> I64:
        """One number for each call."""
        piece = np.searchsorted(self._times, occurred_at_us, side="right")
        if len(self._sizes):
            sizes = np.searchsorted(self._sizes, np.abs(input_tokens), side="right")
            piece = piece * (len(self._sizes) + 1) + sizes
        if self._has_week:
            weekday = (occurred_at_us // DAY_US + THURSDAY) % DAYS_PER_WEEK
            minute = np.searchsorted(self._minutes, occurred_at_us % DAY_US // MINUTE_US, side="right")
            piece = (piece * DAYS_PER_WEEK + weekday) * (len(self._minutes) + 1) + minute
        return piece.astype(np.int64)

    def payers(self, customers: U64) -> U64:
        """By the hashes of customers: those who are charged alike have the same. Who has no account row has 0."""
        if not len(self._accounts):
            return np.zeros(len(customers), np.uint64)
        place = np.minimum(np.searchsorted(self._accounts, customers), len(self._accounts) - 1)
        return np.where(self._accounts[place] == customers, self._payers[place], np.uint64(0))


def _sorted(numbers: Sequence[int]) -> I64:
    return np.unique(np.array(numbers, np.int64))


def _alike(placed: Sequence[tuple[int, CatalogRow]], settled: int) -> dict[str, str]:
    """By account, the first one that every call is rated alike for: with the same rows in the same order, all of them
    known to every page. Who is above somebody else stands alone: it may be above itself."""
    rows: dict[str, list[tuple[int, Account]]] = {}
    for offset, row in sorted(placed, key=lambda one: one[0]):
        if isinstance(row, Account):
            rows.setdefault(row.account_id, []).append((offset, row))
    above = {row.parent_id for found in rows.values() for _, row in found}
    first: dict[object, str] = {}
    alike = {}
    for name, found in rows.items():
        alone = name in above or any(offset >= settled for offset, _ in found)
        terms = tuple((row.effective_from, row.parent_id, row.plan_id) for _, row in found)
        alike[name] = first.setdefault(name if alone else terms, name)
    return alike
