"""What a meter's open page holds: its totals, its quarantined values, a few sums, and batches and events until there
are enough. The catalog it is rated by is that of its first batch, and the page names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.dedup import DedupKeys
from tokenmeter.flow.meter.outage import Hit
from tokenmeter.flow.rate.rated import CHARGE_PICO, Rater
from tokenmeter.kafka.batch import RecordBatch


@dataclass
class OpenPage:
    """``waiting`` are not decoded yet, ``held`` are usable and fresh but not rated and added up."""

    rater: Rater
    events_in: int = 0
    events: int = 0
    corrections: int = 0
    corrected_calls: int = 0
    duplicates: int = 0
    unpriced: int = 0
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    hit: Hit = field(default_factory=Hit)
    waiting: list[RecordBatch] = field(default_factory=list)
    held: list[pl.DataFrame] = field(default_factory=list)
    billing: list[pl.DataFrame] = field(default_factory=list)
    market: list[pl.DataFrame] = field(default_factory=list)
    end_users: list[pl.DataFrame] = field(default_factory=list)
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    earliest: datetime | None = None
    latest: datetime | None = None
    keys: list[DedupKeys] = field(default_factory=list)
    newest_ms: int = 0

    def end_users_with_budgets(self) -> pl.DataFrame:
        """``customer_id`` and ``end_user_id`` of each."""
        return self.rater.budgets(BudgetScope.END_USER).select_seq(
            pl.col("account_id").alias("customer_id"), pl.col("scope_id").alias("end_user_id")
        )

    def add_up(self) -> None:
        """Rate and add up the events that are held."""
        events = pl.concat(self.held, how="vertical") if self.held else pl.DataFrame()
        self.held = []
        if not events.height:
            return
        self.events += events.height
        self.corrections += events.height - events["corrects"].null_count()
        self.corrected_calls += int(events["calls"].sum())
        derived = totals.derive(self.rater.rate(events))
        self.unpriced += derived[CHARGE_PICO].null_count()
        billing = totals.grouped(derived, totals.BILLING)
        totals.fold(self.billing, billing, totals.BILLING)
        totals.fold(self.market, totals.grouped(derived, totals.MARKET), totals.MARKET)
        if (budgeted := self.end_users_with_budgets()).height:
            theirs = derived.join(budgeted, on=["customer_id", "end_user_id"], how="semi")
            totals.fold(self.end_users, totals.grouped(theirs, totals.END_USERS), totals.END_USERS)
        for name, value in billing.select_seq(pl.col(QUANTITY_FIELDS).sum()).row(0, named=True).items():
            self.quantities[name] += value
        first, last = events["occurred_at"].min(), events["occurred_at"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        self.earliest = first if self.earliest is None else min(first, self.earliest)
        self.latest = last if self.latest is None else max(last, self.latest)
