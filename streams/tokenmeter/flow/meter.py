"""The meter: one partition of usage.events, a page at a time, into lines, quarantine and a chained page record.

A batch goes through decode, judge and dedup and is folded into totals at once; what a page keeps is its totals, its
quarantined values and a few sums, never its events. Rating will stand between dedup and totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from aiokafka.partitioner import murmur2

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES, QUANTITY_FIELDS, QUARANTINE
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_KEYS, FIRST_DIGEST, MARKET_KEYS, page_digest
from tokenmeter.flow import columnar_avro, totals
from tokenmeter.flow.batch import RecordBatch
from tokenmeter.flow.decode import INDEX, decode
from tokenmeter.flow.dedup import CONFLICT, DUPLICATE, FRESH, HORIZON_MINUTES, Horizon, Marks, joined, marks
from tokenmeter.flow.journal import NO_DIGEST, Journal, NoJournal, Span, Stored
from tokenmeter.flow.judge import APPENDED_AT_MS, REASON, judge
from tokenmeter.flow.logreader import LogReader
from tokenmeter.flow.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.refused import refused_since

QUARANTINE_RATIO_MAX = 0.5
"""A page with a larger share of unusable events stops the meter: that is an outage, not hygiene."""
QUARANTINE_RATIO_MIN_EVENTS = 1_000
"""... once it holds this many events."""
CUSTOMERS_CACHED_MAX = 1_000_000
JOURNAL_BEHIND_PAGES_MAX = 16
"""A journal that ends more pages before the head of the chain is not searched for; the log is read instead."""


@dataclass(frozen=True)
class MeterRules:
    """What an operator may set: the dedup horizon and when poison is an outage."""

    horizon_ms: int = HORIZON_MINUTES * 60_000
    quarantine_ratio_max: float = QUARANTINE_RATIO_MAX
    quarantine_ratio_min_events: int = QUARANTINE_RATIO_MIN_EVENTS


@dataclass
class _Page:
    """What the open page holds."""

    events_in: int = 0
    events: int = 0
    corrections: int = 0
    corrected_calls: int = 0
    duplicates: int = 0
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    billing: list[pl.DataFrame] = field(default_factory=list)
    market: list[pl.DataFrame] = field(default_factory=list)
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    earliest: datetime | None = None
    latest: datetime | None = None
    marks: list[Marks] = field(default_factory=list)
    newest_ms: int = 0


class Meter:
    """A page processor for ``partition`` of usage.events; see ``tokenmeter.flow.page.Processor``."""

    def __init__(
        self,
        partition: int,
        log: LogReader,
        now: Callable[[], datetime],
        name: str,
        rules: MeterRules | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._partition = partition
        self._log = log
        self._now = now
        self._name = name
        self._rules = rules or MeterRules()
        self._journal = journal or NoJournal()
        self._horizon = Horizon(self._rules.horizon_ms)
        self._partitions = 0
        self._previous_digest = FIRST_DIGEST
        self._digest = FIRST_DIGEST
        self._page = _Page()

    def restore(self, position: int) -> None:
        """Find the head of the page chain, and the horizon in the journal or else in the log. See Processor."""
        self._partitions = self._log.partitions(EVENTS)
        self._restore_chain(position)
        before = self._log.last(EVENTS, self._partition, position)
        if before is None:
            return
        since_ms = before[1] - self._rules.horizon_ms
        start = self._log.offset_at(EVENTS, self._partition, since_ms)
        at = position if start is None else start
        for entry in self._remembered():
            if entry.span.next_offset > at:
                for _, _, read in self._read_marks(at, entry.span.first_offset, since_ms):
                    self._horizon.mark(read)
                self._horizon.mark(self._journal.load(entry))
                at = entry.span.next_offset
        self._restore_rest(at, position, since_ms, before[1])

    def _restore_rest(self, at: int, position: int, since_ms: int, newest_ms: int) -> None:
        """Read from the log what the journal lacks, and let the journal have it for the next restart."""
        if at >= position:
            return
        held: tuple[int, Marks] | None = None
        for first_offset, next_offset, read in self._read_marks(at, position, since_ms):
            self._horizon.mark(read)
            if held is not None:
                self._journal.append(Span(held[0], first_offset, newest_ms, NO_DIGEST), held[1])
            held, at = (first_offset, read), next_offset
        first_offset, read = held or (at, joined([]))
        self._journal.append(Span(first_offset, position, newest_ms, self._previous_digest), read)

    def _read_marks(self, start: int, end: int, since_ms: int) -> Iterator[tuple[int, int, Marks]]:
        """(first offset, next offset, marks of the events that were usable) of each batch in [start, end), all of it
        appended since ``since_ms``."""
        if start >= end:
            return
        refused = refused_since(self._log, self._partition, since_ms)
        for batch in self._log.read(EVENTS, self._partition, start, end):
            usable, _ = judge(*self._decode(batch)[:2])
            usable = usable.filter(~np.isin(batch.offsets()[usable[INDEX].to_numpy()], refused))
            yield batch.start_offset, batch.next_offset, marks(usable, usable[APPENDED_AT_MS].to_numpy())

    def _remembered(self) -> list[Stored]:
        """The journal's entries if they belong to this log: the last ends with a page that usage.pages has."""
        stored = self._journal.stored()
        while stored and stored[-1].span.digest == NO_DIGEST:
            stored.pop()
        if not stored:
            return []
        if not self._is_page(stored[-1].span):
            self._journal.clear()
            return []
        return stored

    def _is_page(self, span: Span) -> bool:
        """Whether one of the newest pages of usage.pages ends where the span does, with its digest."""
        before = None
        for _ in range(JOURNAL_BEHIND_PAGES_MAX):
            found = self._log.last(PAGES, self._partition, before)
            if found is None:
                return False
            page = wire.decode(found[2], expect="page").record
            if page["last_offset"] < span.next_offset:
                return bool(page["last_offset"] + 1 == span.next_offset and page["digest"] == span.digest)
            before = found[0]
        return False

    def _restore_chain(self, position: int) -> None:
        head = self._log.last(PAGES, self._partition)
        if head is None:
            return
        page = wire.decode(head[2], expect="page").record
        if page["last_offset"] + 1 != position:
            raise Fatal(
                f"{EVENTS}/{self._partition}: the committed position is {position}, but the last page of {PAGES} ends "
                f"at offset {page['last_offset']}: somebody moved the consumer group or rewrote the topic",
                hint="tokenmeter audit",
            )
        self._previous_digest = page["digest"]

    def add(self, batch: RecordBatch) -> Demand:
        """Fold one batch. See Processor; Fatal when most of the page is poison."""
        page = self._page
        page.events_in += len(batch)
        frame, appended_at_ms, rejected = self._decode(batch)
        offsets = batch.offsets()
        stamps = batch.appended_at_ms()
        for bad in rejected:
            self._quarantine(batch, offsets, stamps, bad.index, bad.reason, bad.detail)
        usable, refused = judge(frame, appended_at_ms)
        for row in refused.select(INDEX, REASON, "customer_id", "event_id").iter_rows():
            self._quarantine(batch, offsets, stamps, row[0], row[1], accept.DETAILS[row[1]], row[2], row[3])
        marked = marks(usable, usable[APPENDED_AT_MS].to_numpy())
        status = self._horizon.mark(marked)
        page.marks.append(marked)
        page.newest_ms = max(page.newest_ms, int(stamps[-1]) if len(stamps) else 0)
        if status.any():
            for row in usable.filter(status == CONFLICT).select(INDEX, "customer_id", "event_id").iter_rows():
                detail = "an event with this identity but another payload was appended within the dedup horizon"
                self._quarantine(batch, offsets, stamps, row[0], "conflict", detail, row[1], row[2])
            page.duplicates += int(np.count_nonzero(status == DUPLICATE))
            usable = usable.filter(status == FRESH)
        self._stop_on_outage(batch)
        self._total(usable)
        return Demand.NOTHING

    def _decode(self, batch: RecordBatch) -> tuple[pl.DataFrame, Any, list[Any]]:
        decoded = decode(batch.values)
        return decoded.frame, batch.appended_at_ms()[decoded.frame[INDEX].to_numpy()], decoded.rejected

    def _total(self, events: pl.DataFrame) -> None:
        if not events.height:
            return
        page = self._page
        page.events += events.height
        page.corrections += events.height - events["corrects"].null_count()
        page.corrected_calls += int(events["calls"].sum())
        derived = totals.derive(events)
        billing = totals.billing(derived)
        totals.fold(page.billing, billing, BILLING_KEYS, totals.BILLING_MEASURES)
        totals.fold(page.market, totals.market(derived), MARKET_KEYS, totals.MARKET_MEASURES)
        for name, value in billing.select(pl.col(QUANTITY_FIELDS).sum()).row(0, named=True).items():
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
    ) -> None:
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
        bad = len(page.quarantined)
        if page.events_in >= rules.quarantine_ratio_min_events and bad > rules.quarantine_ratio_max * page.events_in:
            worst = max({q["reason"] for q in page.quarantined}, key=[q["reason"] for q in page.quarantined].count)
            raise Fatal(
                f"{EVENTS}/{self._partition}: {bad} of {page.events_in} events up to offset {batch.next_offset - 1} "
                f"cannot be used (mostly: {worst}); more than {rules.quarantine_ratio_max:.0%} is an outage",
                hint="mend the producer, or raise TOKENMETER_QUARANTINE_RATIO_MAX to quarantine them all",
            )

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """The page's lines, quarantined events and its own record. See Processor."""
        page = self._page
        position = [
            pl.lit(self._partition).alias("partition"),
            pl.lit(bounds.first_offset).alias("first_offset"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("line"),
        ]
        billing = totals.merge(page.billing, BILLING_KEYS, totals.BILLING_MEASURES).with_columns(position)
        market = totals.merge(page.market, MARKET_KEYS, totals.MARKET_MEASURES).with_columns(position)
        billing_values = columnar_avro.encode("billing_line", billing)
        market_values = columnar_avro.encode("market_line", market)
        closed_at = self._now()
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
            "unpriced": 0,
            "lost": bounds.lost,
            "billing_lines": billing.height,
            "market_lines": market.height,
            **page.quantities,
            "earliest_occurred_at": page.earliest,
            "latest_occurred_at": page.latest,
            "misrouted_customers": self._misrouted(billing["customer_id"]),
            "closed_at": closed_at,
            "meter": self._name,
            "previous_digest": self._previous_digest,
            "digest": b"",
        }
        unsigned = wire.encode("page", record)
        self._digest = page_digest(self._previous_digest, unsigned, billing_values, market_values)
        signed = wire.encode("page", {**record, "digest": self._digest})
        return [
            Outgoing(BILLING, _keys(billing["customer_id"]), billing_values),
            Outgoing(MARKET, _keys(market["model"]), market_values),
            Outgoing(
                QUARANTINE,
                [q["customer_id"].encode() if q["customer_id"] else None for q in page.quarantined],
                quarantined,
            ),
            Outgoing(PAGES, [str(self._partition).encode()], [signed], self._partition),
        ]

    def remembered(self) -> int:
        """Identities in the dedup horizon. See Processor."""
        return len(self._horizon)

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._previous_digest = self._digest
        span = Span(bounds.first_offset, bounds.next_offset, self._page.newest_ms, self._digest)
        self._journal.append(span, joined(self._page.marks))
        self._page = _Page()

    def _misrouted(self, customers: pl.Series) -> int:
        """Customers whose key hashes to another partition: their producer uses another partitioner."""
        distinct = customers.unique().to_list() if len(customers) else []
        return sum(partition_of(customer, self._partitions) != self._partition for customer in distinct)


@lru_cache(CUSTOMERS_CACHED_MAX)
def partition_of(customer_id: str, partitions: int) -> int:
    """Where the Java clients' partitioner puts a customer."""
    hashed: int = murmur2(customer_id.encode())
    return (hashed & 0x7FFFFFFF) % partitions


def _keys(column: pl.Series) -> list[bytes]:
    return column.cast(pl.Binary).to_list() if len(column) else []
