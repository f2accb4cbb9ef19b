"""What one page should say, counted from the log. Both the engine and the reference fill it; ``compare`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from tokenmeter.audit.routes import Route
from tokenmeter.events.contract import BILLING, MARKET, QUANTITY_FIELDS, RESALE, Schema, versions
from tokenmeter.events.lines import BILLING_KEYS, BILLING_USAGE_KEYS, MARKET_KEYS, MARKET_USAGE_KEYS, RESALE_KEYS
from tokenmeter.events.rating import amount

MEASURES: tuple[str, ...] = (
    "events",
    "errors",
    "rate_limited",
    "streamed",
    "cancelled",
    "byok",
    "unpriced",
    "uncosted",
    "latency_calls",
    "latency_sum_ms",
    "generation_calls",
    "generation_sum_ms",
    "generation_tokens",
    "reported_calls",
    *QUANTITY_FIELDS,
)
"""What the audit can count for a line; a record has those that its schema names."""
AMOUNTS: tuple[str, ...] = ("tokens_squared", "charge", "cost", "reported_cost", "reported_calls_cost")
"""What it can add up and 64 bits may not hold: pico-units and squares. Null where no event of the line has any."""
RATED: tuple[str, ...] = (
    "account_id",
    "seller_id",
    "level",
    "price_id",
    "cost_price_id",
    "plan_id",
    "chain",
    "currency",
    "cost_currency",
    "provisional",
)
"""Fields that the rating of a call tells, and not the call alone."""

U64_MASK = 2**64 - 1

Key = tuple[Any, ...]
Line = dict[str, Any]
"""Fields of a line beside its key: what the rating tells, counts, and amounts as integers or None."""


@dataclass(frozen=True)
class LineKind:
    """One of the records a page's lines are written as, in one version, on one topic. Lines are ordered by ``keys``."""

    record: str
    version: int
    topic: str
    keys: tuple[str, ...]

    @cached_property
    def schema(self) -> Schema:
        return next(schema for schema in versions(self.record) if schema.version == self.version)

    @cached_property
    def usage(self) -> tuple[str, ...]:
        """Of the keys, those that the call alone tells."""
        return tuple(name for name in self.keys if name not in RATED)

    @cached_property
    def rated(self) -> tuple[str, ...]:
        return self._those(RATED)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        return self._those(MEASURES)

    @cached_property
    def amounts(self) -> tuple[str, ...]:
        return self._those(AMOUNTS)

    def _those(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in self.schema.field_names if name in names)

    def fields(self, key: Key, line: Line) -> dict[str, Any]:
        """A line as its record has it, but for its place."""
        money = {name: decimal(name, line[name]) for name in self.amounts}
        return {**dict(zip(self.keys, key, strict=True)), **line, **money}


BILLING_LINES = LineKind("billing_line", 2, BILLING, BILLING_KEYS)
MARKET_LINES = LineKind("market_line", 2, MARKET, MARKET_KEYS)
RESALE_LINES = LineKind("resale_line", 1, RESALE, RESALE_KEYS)
KINDS = (BILLING_LINES, MARKET_LINES, RESALE_LINES)
RECORDS: Mapping[str, str] = {kind.record: kind.topic for kind in KINDS}
"""The topic of each record."""
RATED_PAGE_VERSION = 3
"""Pages before it were not rated, and their lines are the first version's."""
UNRATED_KINDS = (
    LineKind("billing_line", 1, BILLING, BILLING_USAGE_KEYS),
    LineKind("market_line", 1, MARKET, MARKET_USAGE_KEYS),
)


@dataclass(frozen=True)
class Rules:
    """How one page is counted: by which of the catalog's rows, into which lines."""

    catalog_offset: int = 0
    kinds: tuple[LineKind, ...] = KINDS
    route: Route | None = None
    """What is misrouted is quarantined; None where nothing can be, or where the meter of that time metered it."""

    @staticmethod
    def of(page: Mapping[str, Any], version: int, of_partition: Route | None = None) -> Rules:
        """By a page record and the version it was written in."""
        route = of_partition
        if page["misrouted_customers"] or (route is not None and route.partitions <= 1):
            route = None
        if version < RATED_PAGE_VERSION:
            return Rules(0, UNRATED_KINDS, route)
        return Rules(page["catalog_offset"], KINDS, route)


@dataclass
class Recount:
    """One page. ``quarantined`` holds (offset, reason); ``offset_sum`` and ``offset_squares`` (modulo 2**64) name the
    set of metered offsets. ``charges`` and ``costs`` are pico-units by currency. Lines are by record and key in any
    order, or None where they are kept by hash."""

    first_offset: int
    last_offset: int
    events_in: int = 0
    events: int = 0
    corrections: int = 0
    corrected_calls: int = 0
    duplicates: int = 0
    unpriced: int = 0
    quarantined: list[tuple[int, str]] = field(default_factory=list)
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    charges: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    earliest: datetime | None = None
    latest: datetime | None = None
    offset_sum: int = 0
    offset_squares: int = 0
    lines: dict[str, dict[Key, Line]] | None = field(default_factory=lambda: _no_lines())


def _no_lines() -> dict[str, dict[Key, Line]]:
    return {record: {} for record in RECORDS}


def ordered(lines: Mapping[Key, Line]) -> list[tuple[Key, Line]]:
    """Lines in their order on a page: by key, nulls first."""
    return sorted(lines.items(), key=lambda line: [(part is not None, part) for part in line[0]])


def decimal(name: str, number: int | None) -> Decimal | None:
    """An amount as its field holds it: whole squares, or pico-units of a currency."""
    if number is None:
        return None
    return Decimal(number) if name == "tokens_squared" else amount(number)


def sums(lines: Mapping[Key, Line]) -> dict[str, int]:
    """Each measure and amount over all lines, and ``unpriced_lines``: those without a charge."""
    found = {"unpriced_lines": 0}
    for line in lines.values():
        for name in (*MEASURES, *AMOUNTS):
            if name in line:
                found[name] = found.get(name, 0) + (line[name] or 0)
        found["unpriced_lines"] += line["charge"] is None
    return found


def single(by_currency: Mapping[str, int]) -> tuple[Decimal | None, str | None]:
    """(amount, currency) where there is one currency alone, else nulls."""
    if len(by_currency) != 1:
        return None, None
    ((currency, pico),) = by_currency.items()
    return amount(pico), currency
