"""The meter's processor: decode, judge, dedup, rating and totals, each of many events at once.

What a page keeps is its totals, its quarantined values, a few sums, and batches and events until there are enough. The
catalog it is rated by is that of its first batch, and the page names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events import accept, growth, wire
from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import (
    ALERTS,
    BILLING,
    EVENTS,
    LEDGER,
    MARKET,
    PAGES,
    QUANTITY_FIELDS,
    QUARANTINE,
    RESALE,
)
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import FIRST_DIGEST, page_digest
from tokenmeter.events.rating import amount
from tokenmeter.flow import columnar_avro
from tokenmeter.flow.decode import INDEX, decode
from tokenmeter.flow.dedup import CONFLICT, DUPLICATE, FRESH, Horizon, Marks, joined, marks
from tokenmeter.flow.journal import Journal, NoJournal, Span
from tokenmeter.flow.judge import APPENDED_AT_MS, REASON, judge
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.blame import Blame
from tokenmeter.flow.meter.entries import Written, entries
from tokenmeter.flow.meter.lines import Lines, end_users, lines, sum_of
from tokenmeter.flow.meter.outage import Hit
from tokenmeter.flow.meter.recover import Recovery
from tokenmeter.flow.meter.rules import MeterRules
from tokenmeter.flow.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.rate.rated import CHARGE_PICO, Rater, Rates
from tokenmeter.flow.rate.unrated import Unrated
from tokenmeter.flow.routes import MISROUTED, Homes, Routes
from tokenmeter.kafka.batch import RecordBatch, merged
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.logreader import LogReader

DECODED_EVENTS_MIN = 1_000
"""Small batches are decoded and checked together: each time costs 4 ms, however few there are. Larger ones do not
wait, for what was just fetched is still near the CPU."""
TOGETHER_EVENTS_MIN = 5_000
"""Events are rated and added up together: each time costs 20 ms."""
_WHOSE = ("customer_id", "event_id", "source")


@dataclass
class _Page:
    """What the open page holds."""

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
    marks: list[Marks] = field(default_factory=list)
    newest_ms: int = 0

    def end_users_with_budgets(self) -> pl.DataFrame:
        """``customer_id`` and ``end_user_id`` of each."""
        return self.rater.budgets(BudgetScope.END_USER).select_seq(
            pl.col("account_id").alias("customer_id"), pl.col("scope_id").alias("end_user_id")
        )


class Meter:
    """A page processor for ``partition`` of usage.events; see ``tokenmeter.flow.page.Processor``."""

    _recovery = Recovery

    def __init__(
        self,
        partition: int,
        log: LogReader,
        now: Callable[[], datetime],
        name: str,
        rules: MeterRules | None = None,
        journal: Journal | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._partition = partition
        self._log = log
        self._now = now
        self._name = name
        self._rules = rules or MeterRules()
        self._journal = journal or NoJournal()
        self._rates = rates or Unrated()
        self._horizon = Horizon(self._rules.horizon_ms)
        self._homes = Homes(partition, 1)
        self._previous_digest = FIRST_DIGEST
        self._digest = FIRST_DIGEST
        self._open: _Page | None = None
        self._blame = Blame(partition)

    @property
    def _page(self) -> _Page:
        """The open page; the catalog is looked at when it opens."""
        if self._open is None:
            self._open = _Page(self._rates.current())
        return self._open

    def restore(self, position: int) -> None:
        """Find the head of the page chain, and the horizon in the journal or else in the log. See Processor."""
        grown, partitions = growth.finished(read_growths(self._log)), self._log.partitions(EVENTS)
        self._homes = Homes(self._partition, partitions, growth.eras(grown, self._partition))
        own = Routes(self._partition, partitions)
        recovery = self._recovery(
            self._partition,
            self._log,
            self._journal,
            self._rules.horizon_ms,
            self._usable,
            growth.ancestors(grown, self._partition),
            lambda batch: own.split(self._usable(batch))[0],
        )
        self._previous_digest = recovery.head(position)
        recovery.fill(self._horizon, position, self._previous_digest)

    def _usable(self, batch: RecordBatch) -> pl.DataFrame:
        usable, _ = judge(*self._decode(batch)[:2])
        return usable

    def add(self, batch: RecordBatch) -> Demand:
        """Fold one batch. See Processor; Fatal when most of the page is poison."""
        page = self._page
        page.events_in += len(batch)
        page.waiting.append(batch)
        if sum(map(len, page.waiting)) >= DECODED_EVENTS_MIN:
            self._fold()
        if sum(frame.height for frame in page.held) >= TOGETHER_EVENTS_MIN:
            self._total()
        return Demand.NOTHING

    def _fold(self) -> None:
        """Decode and check the batches that wait."""
        page = self._page
        if not page.waiting:
            return
        batch, page.waiting = merged(page.waiting), []
        frame, appended_at_ms, rejected = self._decode(batch)
        offsets = batch.offsets()
        stamps = batch.appended_at_ms()
        for bad in rejected:
            self._quarantine(batch, offsets, stamps, bad.index, bad.reason, bad.detail)
        usable, refused = judge(frame, appended_at_ms)
        for row in refused.select_seq(INDEX, REASON, *_WHOSE).iter_rows():
            self._quarantine(batch, offsets, stamps, row[0], row[1], accept.DETAILS[row[1]], *row[2:])
        usable, misrouted = self._homes.split(usable, offsets[usable[INDEX].to_numpy()])
        for strays, routes in misrouted:
            for row in strays.select_seq(INDEX, *_WHOSE).iter_rows():
                self._quarantine(batch, offsets, stamps, row[0], MISROUTED, routes.detail(row[1]), *row[1:])
        marked = marks(usable, usable[APPENDED_AT_MS].to_numpy())
        status = self._horizon.mark(marked)
        page.marks.append(marked)
        page.newest_ms = max(page.newest_ms, int(stamps[-1]) if len(stamps) else 0)
        if status.any():
            for row in usable.filter(status == CONFLICT).select_seq(INDEX, *_WHOSE).iter_rows():
                detail = "an event with this identity but another payload was appended within the dedup horizon"
                self._quarantine(batch, offsets, stamps, row[0], "conflict", detail, *row[1:])
            page.duplicates += int(np.count_nonzero(status == DUPLICATE))
            usable = usable.filter(status == FRESH)
        self._stop_on_outage(batch)
        page.held.append(usable)

    def _decode(self, batch: RecordBatch) -> tuple[pl.DataFrame, Any, list[Any]]:
        decoded = decode(batch.values)
        return decoded.frame, batch.appended_at_ms()[decoded.frame[INDEX].to_numpy()], decoded.rejected

    def _total(self) -> None:
        """Rate and add up the events that are held."""
        page = self._page
        events = pl.concat(page.held, how="vertical") if page.held else pl.DataFrame()
        page.held = []
        if not events.height:
            return
        page.events += events.height
        page.corrections += events.height - events["corrects"].null_count()
        page.corrected_calls += int(events["calls"].sum())
        derived = totals.derive(page.rater.rate(events))
        page.unpriced += derived[CHARGE_PICO].null_count()
        billing = totals.grouped(derived, totals.BILLING)
        totals.fold(page.billing, billing, totals.BILLING)
        totals.fold(page.market, totals.grouped(derived, totals.MARKET), totals.MARKET)
        if (budgeted := page.end_users_with_budgets()).height:
            theirs = derived.join(budgeted, on=["customer_id", "end_user_id"], how="semi")
            totals.fold(page.end_users, totals.grouped(theirs, totals.END_USERS), totals.END_USERS)
        for name, value in billing.select_seq(pl.col(QUANTITY_FIELDS).sum()).row(0, named=True).items():
            page.quantities[name] += value
        first, last = events["occurred_at"].min(), events["occurred_at"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        page.earliest = first if page.earliest is None else min(first, page.earliest)
        page.latest = last if page.latest is None else max(last, page.latest)

    def _quarantine(
        self,
        batch: RecordBatch,
        offsets: Any,
        stamps: Any,
        index: int,
        reason: str,
        detail: str,
        customer_id: str | None = None,
        event_id: str | None = None,
        source: str | None = None,
    ) -> None:
        self._page.hit.add(reason, customer_id, source)
        self._blame.add(reason, customer_id, source, int(offsets[index]), int(stamps[index]))
        self._page.quarantined.append(
            {
                "partition": self._partition,
                "offset": int(offsets[index]),
                "appended_at": int(stamps[index]),
                "reason": reason,
                "detail": detail,
                "customer_id": customer_id,
                "event_id": event_id,
                "value": batch.values[index] or b"",
            }
        )

    def _stop_on_outage(self, batch: RecordBatch) -> None:
        page, rules = self._page, self._rules
        if page.hit.is_outage(page.events_in, rules):
            raise Fatal(
                f"{EVENTS}/{self._partition}: {page.hit.events} of {page.events_in} events up to offset "
                f"{batch.next_offset - 1} cannot be used ({page.hit.told()}); more than "
                f"{rules.quarantine_ratio_max:.0%} is an outage",
                hint="mend the producer, or raise TOKENMETER_QUARANTINE_RATIO_MAX to quarantine them all",
            )

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """The page's lines, quarantined events and its own record. See Processor."""
        page = self._page
        self._fold()
        self._total()
        made = lines(page.billing, page.market, page.rater)
        place = {"partition": self._partition, "first_offset": bounds.first_offset}
        billing_values = columnar_avro.encode("billing_line", made.billing, **place)
        market_values = columnar_avro.encode("market_line", made.market, **place)
        resale_values = columnar_avro.encode("resale_line", made.resale, **place)
        charge, currency = sum_of(made.billing, "charge", "currency")
        cost, cost_currency = sum_of(made.billing, "cost", "cost_currency")
        closed_at = self._now()
        charged = self._charged(made, Written(bounds, closed_at, self._name))
        page.quarantined.sort(key=lambda q: q["offset"])
        quarantined = [wire.encode("quarantined_event", {**q, "quarantined_at": closed_at}) for q in page.quarantined]
        record = {
            "partition": self._partition,
            "first_offset": bounds.first_offset,
            "last_offset": bounds.last_offset,
            "events_in": page.events_in,
            "events": page.events,
            "corrections": page.corrections,
            "corrected_calls": page.corrected_calls,
            "duplicates": page.duplicates,
            "quarantined": len(page.quarantined),
            "unpriced": page.unpriced,
            "lost": bounds.lost,
            "billing_lines": len(billing_values),
            "market_lines": len(market_values),
            "resale_lines": len(resale_values),
            "ledger_entries": charged.height,
            "catalog_offset": page.rater.catalog_offset,
            **page.quantities,
            "charge": _decimal(charge),
            "cost": _decimal(cost),
            "currency": currency,
            "cost_currency": cost_currency,
            "earliest_occurred_at": page.earliest,
            "latest_occurred_at": page.latest,
            "misrouted_customers": 0,  # none is metered; the audit believes an older page that says otherwise
            "closed_at": closed_at,
            "meter": self._name,
            "previous_digest": self._previous_digest,
            "digest": b"",
        }
        unsigned = wire.encode("page", record)
        self._digest = page_digest(self._previous_digest, unsigned, billing_values, market_values, resale_values)
        signed = wire.encode("page", {**record, "digest": self._digest})
        told = self._blame.take()
        alerts = [Outgoing(ALERTS, [one.account_id.encode() for one in told], [one.to_value() for one in told])]
        return [
            *(alerts if told else []),
            Outgoing(BILLING, _keys(made.billing["customer_id"]), billing_values),
            Outgoing(MARKET, _keys(made.market["model"]), market_values),
            Outgoing(LEDGER, _keys(charged["account_id"]), columnar_avro.encode("ledger_entry", charged)),
            Outgoing(RESALE, _keys(made.resale["account_id"]), resale_values),
            Outgoing(
                QUARANTINE,
                [q["customer_id"].encode() if q["customer_id"] else None for q in page.quarantined],
                quarantined,
            ),
            Outgoing(PAGES, [str(self._partition).encode()], [signed], self._partition),
        ]

    def _charged(self, made: Lines, written: Written) -> pl.DataFrame:
        """The page's ledger entries; who keeps no catalog keeps no ledger."""
        page = self._page
        if not page.rater.catalog_offset:
            return pl.DataFrame(schema={"account_id": pl.String()})
        return entries(made, end_users(page.end_users, page.rater), page.rater, written)

    def remembered(self) -> int:
        """Identities in the dedup horizon. See Processor."""
        return len(self._horizon)

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._previous_digest = self._digest
        span = Span(bounds.first_offset, bounds.next_offset, self._page.newest_ms, self._digest)
        self._journal.append(span, joined(self._page.marks))
        self._open = None


def _keys(column: pl.Series) -> list[bytes]:
    return column.cast(pl.Binary).to_list() if len(column) else []


def _decimal(pico: int | None) -> Decimal | None:
    return None if pico is None else amount(pico)
