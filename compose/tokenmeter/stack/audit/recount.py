"""What one page should say, counted from the log. Both the engine and the reference fill it; ``compare`` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import BILLING_USAGE_KEYS, MARKET_USAGE_KEYS

MEASURES: tuple[str, ...] = (
    "events",
    "errors",
    "rate_limited",
    "streamed",
    "cancelled",
    "byok",
    *QUANTITY_FIELDS,
)
"""What the audit can count for a line; a record has those that its schema names."""

U64_MASK = 2**64 - 1

Key = tuple[Any, ...]
Counts = dict[str, int]


@dataclass(frozen=True)
class LineKind:
    """One of the two records a page's lines are written as."""

    record: str
    keys: tuple[str, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """In the order of the schema."""
        return tuple(name for name in latest(self.record).field_names if name in MEASURES)


BILLING_LINES = LineKind("billing_line", BILLING_USAGE_KEYS)
MARKET_LINES = LineKind("market_line", MARKET_USAGE_KEYS)


@dataclass
class Recount:
    """One page. ``quarantined`` holds (offset, reason); ``offset_sum`` and ``offset_squares`` (modulo 2**64) name the
    set of metered offsets. Lines are by key in any order, or None once they were found equal where they are kept."""

    first_offset: int
    last_offset: int
    events_in: int = 0
    events: int = 0
    corrections: int = 0
    corrected_calls: int = 0
    duplicates: int = 0
    quarantined: list[tuple[int, str]] = field(default_factory=list)
    quantities: Counts = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    earliest: datetime | None = None
    latest: datetime | None = None
    offset_sum: int = 0
    offset_squares: int = 0
    billing: dict[Key, Counts] | None = field(default_factory=dict)
    market: dict[Key, Counts] | None = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """What the lines' ``events`` add up to."""
        return self.events - self.corrections + self.corrected_calls


def ordered(lines: dict[Key, Counts]) -> list[tuple[Key, Counts]]:
    """Lines in their order on a page: by key, nulls first."""
    return sorted(lines.items(), key=lambda line: [(part is not None, part) for part in line[0]])
