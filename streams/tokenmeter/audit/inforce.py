"""Which rows of the catalog hold for a call: those in force at its time, and the best price of a book. Pure.

Written from ``tokenmeter/events/pricing.md`` alone, one call at a time, the slowest way that is still obvious.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenmeter.events.catalog import Account, Plan, PriceTerms
from tokenmeter.events.catalog_row import (
    ANY_MODEL,
    CHAIN_ACCOUNTS_MAX,
    DEFAULT_PLAN,
    FREE_VARIANT,
    LIST_BOOK,
    CatalogRow,
)

DAYS_PER_WEEK = 7


@dataclass(frozen=True)
class Call:
    """What a price is chosen by."""

    at: datetime
    customer_id: str
    model: str
    provider: str
    variant: str
    service_tier: str | None
    input_tokens: int
    byok: bool

    @staticmethod
    def of(event: Mapping[str, Any]) -> Call:
        """The call of an event; a CORRECTION is as large as its deltas are, whatever their sign."""
        return Call(
            event["occurred_at"].astimezone(UTC),
            event["customer_id"],
            event["model"],
            event["provider"],
            event["variant"],
            event["service_tier"],
            abs(event["input_tokens"]),
            event["byok"],
        )

    @property
    def patterns(self) -> list[str]:
        """What a price row may call the model, the best first."""
        author, slash, _ = self.model.partition("/")
        return [self.model, *([f"{author}/*"] if slash else []), ANY_MODEL]


@dataclass(frozen=True)
class Payer:
    """An account of a chain: whom it pays, None for us, and by which plan."""

    account_id: str
    parent_id: str | None
    plan_id: str


Placed = tuple[int, Any, tuple[Any, ...]]
"""A row's offset on the topic, the row, its natural key."""


class CatalogRows:
    """All rows with their offsets; each question names the offset below which rows are known, and a time or a call."""

    def __init__(self, rows: Iterable[tuple[int, CatalogRow]]) -> None:
        self._accounts: dict[str, list[Placed]] = defaultdict(list)
        self._plans: dict[str, list[Placed]] = defaultdict(list)
        self._prices: dict[tuple[str, str], list[Placed]] = defaultdict(list)
        self._by_id: dict[str, tuple[int, PriceTerms]] = {}
        for offset, row in sorted(rows, key=lambda placed: placed[0]):
            placed = (offset, row, row.key)
            if isinstance(row, Account):
                self._accounts[row.account_id].append(placed)
            elif isinstance(row, Plan):
                self._plans[row.plan_id].append(placed)
            elif isinstance(row, PriceTerms):
                self._prices[row.book, row.model].append(placed)
                self._by_id.setdefault(row.row_id, (offset, row))  # written again, it is known since the first time

    def price_row(self, row_id: str, known: int) -> PriceTerms | None:
        """The price with this row id."""
        offset, row = self._by_id.get(row_id, (known, None))
        return row if offset < known else None

    def chain(self, customer_id: str, at: datetime, known: int) -> list[Payer]:
        """The customer's account, the one it pays, and so on; who has no row has an account of its own."""
        chain: list[Payer] = []
        wanted: str | None = customer_id
        while wanted is not None and len(chain) < CHAIN_ACCOUNTS_MAX and wanted not in {p.account_id for p in chain}:
            found = _in_force(self._accounts.get(wanted, ()), at, known)
            payer = Payer(wanted, found[0].parent_id, found[0].plan_id) if found else Payer(wanted, None, DEFAULT_PLAN)
            chain.append(payer)
            wanted = payer.parent_id
        return chain

    def plan(self, plan_id: str, at: datetime, known: int) -> Plan | None:
        """A plan's terms; without a row there are those of the default plan alone."""
        found = _in_force(self._plans.get(plan_id, ()), at, known)
        if found:
            plan: Plan = found[0]
            return plan
        return Plan(plan_id=plan_id, base_book=LIST_BOOK, effective_from=at) if plan_id == DEFAULT_PLAN else None

    def best_price(self, book: str | None, call: Call, known: int) -> PriceTerms | None:
        """The price of ``book`` for ``call``."""
        matching: list[PriceTerms] = []
        for model in call.patterns:
            rows = _in_force(self._prices.get((book or "", model), ()), call.at, known)
            matching += [row for row in rows if not row.withdrawn and _matches(row, call)]
        return max(matching, key=lambda row: (*_fit(row, call), row.row_id), default=None)


def _in_force(rows: Iterable[Placed], at: datetime, known: int) -> list[Any]:
    """One row for each natural key: the latest in effect, and of two from the same time the later one on the topic."""
    best: dict[tuple[Any, ...], Placed] = {}
    for placed in rows:
        offset, row, key = placed
        if offset < known and row.effective_from <= at:
            before = best.get(key)
            if before is None or (row.effective_from, offset) > (before[1].effective_from, before[0]):
                best[key] = placed
    return [row for _, row, _ in best.values()]


def _matches(row: PriceTerms, call: Call) -> bool:
    """Whether a price is for this call; its book and its model are."""
    if row.provider is not None and row.provider != call.provider:
        return False
    if row.service_tier is not None and row.service_tier != call.service_tier:
        return False
    if row.variant is None and call.variant == FREE_VARIANT:
        return False
    if row.variant is not None and row.variant != call.variant:
        return False
    return row.min_input_tokens <= call.input_tokens and _in_window(row, call.at)


def _in_window(row: PriceTerms, at: datetime) -> bool:
    """Whether a window that began today, or yesterday and goes over midnight, holds the call's minute."""
    started = at.weekday()
    if row.window_start_minute is not None and row.window_end_minute is not None:
        minute = at.hour * 60 + at.minute
        over_midnight = row.window_end_minute <= row.window_start_minute
        if over_midnight and minute < row.window_end_minute:
            started = (started - 1) % DAYS_PER_WEEK
        elif minute < row.window_start_minute or (not over_midnight and minute >= row.window_end_minute):
            return False
    return bool(row.weekdays >> started & 1)


def _fit(row: PriceTerms, call: Call) -> tuple[int, ...]:
    """How well a matching price fits; the greatest is the best."""
    return (
        row.variant is not None,
        -call.patterns.index(row.model),
        row.service_tier is not None,
        row.provider is not None,
        row.min_input_tokens,
        row.window_start_minute is not None,
        -row.weekdays.bit_count(),
    )
