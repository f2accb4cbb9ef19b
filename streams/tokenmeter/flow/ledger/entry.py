"""An entry as the ledger books it: amounts in pico-units, times in milliseconds, days as numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from tokenmeter.events.contract import DAY_MS, EVENTS, LEDGER
from tokenmeter.events.ledger import EntryKind, fault

BUCKET_MS = 300_000
"""Five minutes: burn rates are kept, and forecasts made, for each of these."""
AT_MS = "_at_ms"
OFFSET = "_offset"
"""Columns beside the record's own: broker time, never going back, and the place on ledger.entries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of ledger.entries. ``amount_pico`` of None: no call of the CHARGE has a price."""

    account_id: str
    entry_id: str
    kind: str
    amount_pico: int | None
    currency: str
    at_ms: int
    made_at_ms: int
    offset: int = 0
    entries_partition: int = 0
    billed_pico: int | None = None
    provisional_pico: int = 0
    scope: str | None = None
    scope_id: str | None = None
    day: int | None = None
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    line: int | None = None
    calls: int = 0
    unpriced: int = 0
    priority: int = 0
    expires_at_ms: int | None = None
    promotional: bool = False
    grant_id: str | None = None
    voids: str | None = None
    reference: str | None = None

    @property
    def delta_pico(self) -> int:
        """The amount; 0 where no call has a price."""
        return self.amount_pico or 0

    @property
    def worth_pico(self) -> int:
        """What a VOID of it must take back."""
        return self.delta_pico if self.billed_pico is None else self.billed_pico

    @property
    def bucket(self) -> int:
        return self.at_ms // BUCKET_MS

    @property
    def of_usage(self) -> bool:
        """Whether it charges calls, or takes such a charge back."""
        return self.day is not None and self.kind in (EntryKind.CHARGE, EntryKind.VOID)

    def fault(self) -> str | None:
        """Why it cannot be booked, whatever the account; None if it can."""
        placed = None not in (self.partition, self.first_offset, self.line, self.day)
        return fault(
            self.kind,
            self.amount_pico,
            self.billed_pico,
            placed=placed,
            scope=self.scope,
            scope_id=self.scope_id,
            grant_id=self.grant_id,
            voids=self.voids,
        )

    def digest(self) -> str:
        """What two entries of one id must have in common to be the same entry: all but when, by whom and why."""
        terms = (
            self.kind,
            self.amount_pico,
            self.billed_pico,
            self.currency,
            self.scope,
            self.scope_id,
            self.day,
            self.unpriced,
        )
        more = (self.priority, self.expires_at_ms, self.promotional, self.grant_id, self.voids, self.reference)
        return hashlib.blake2b(repr(terms + more).encode(), digest_size=8).hexdigest()

    def cause(self) -> tuple[str, int, int, int]:
        """(topic, partition, first offset, last offset) of what people would look at: the calls, or the entry."""
        if self.kind == EntryKind.CHARGE and self.partition is not None and self.first_offset is not None:
            last = self.first_offset if self.last_offset is None else self.last_offset
            return EVENTS, self.partition, self.first_offset, last
        return LEDGER, self.entries_partition, self.offset, self.offset


_COLUMNS: dict[str, Any] = {
    "account_id": pl.col("account_id"),
    "entry_id": pl.col("entry_id"),
    "kind": pl.col("kind"),
    "amount_pico": pl.col("amount").to_physical().cast(pl.Int128),
    "currency": pl.col("currency"),
    "at_ms": pl.col(AT_MS),
    "made_at_ms": pl.col("made_at").dt.epoch("ms"),
    "offset": pl.col(OFFSET),
    "entries_partition": pl.lit(0, pl.Int64),
    "billed_pico": pl.col("billed_amount").to_physical().cast(pl.Int128),
    "provisional_pico": pl.col("provisional_amount").to_physical().cast(pl.Int128).fill_null(0),
    "scope": pl.col("scope"),
    "scope_id": pl.col("scope_id"),
    "day": pl.col("occurred_day").dt.epoch("ms") // DAY_MS,
    "partition": pl.col("partition"),
    "first_offset": pl.col("first_offset"),
    "last_offset": pl.col("last_offset"),
    "line": pl.col("line"),
    "calls": pl.col("calls"),
    "unpriced": pl.col("unpriced"),
    "priority": pl.col("priority"),
    "expires_at_ms": pl.col("expires_at").dt.epoch("ms"),
    "promotional": pl.col("promotional"),
    "grant_id": pl.col("grant_id"),
    "voids": pl.col("voids"),
    "reference": pl.col("reference"),
}
"""The fields of Entry, in their order, from a decoded frame with AT_MS and OFFSET."""
assert tuple(_COLUMNS) == tuple(Entry.__dataclass_fields__)


def entries_of(frame: pl.DataFrame, entries_partition: int) -> Iterator[Entry]:
    """The rows of a decoded frame, in their order."""
    columns = {**_COLUMNS, "entries_partition": pl.lit(entries_partition, pl.Int64)}
    for row in frame.select(expr.alias(name) for name, expr in columns.items()).iter_rows():
        yield Entry(*row)
