"""Runs a re-rating: waits until everything is loaded, judges pages, and on demand books, waits and judges again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
from clickhouse_connect.driver.client import Client

from tokenmeter.events.contract import RESALE
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.rate.rated import Rater
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.ops.reconcile.books import Books
from tokenmeter.ops.reconcile.corrections import SOURCE as RECONCILE
from tokenmeter.ops.reconcile.pages import EVERYTHING, PAGE, Filter, Place, lines, raw_events, weights
from tokenmeter.ops.reconcile.run import settle
from tokenmeter.ops.reconcile.sources import Positions, Store
from tokenmeter.ops.rerate.booking import Booking
from tokenmeter.ops.rerate.judge import Judgement, PageUsage, judge
from tokenmeter.ops.rerate.moves import SOURCE, corrections
from tokenmeter.ops.rerate.report import Sides, add, priced, rows
from tokenmeter.store.statement import sql

EVENTS_AT_ONCE = 1_000_000
"""Raw events that are judged together: their table is scanned once for them."""
PAGES_AT_ONCE = 500
BOOKED_AT_ONCE = 50_000
"""Corrections in one transaction, more by as many as its last page has."""


@dataclass(frozen=True)
class Options:
    """``client`` holds the Kafka clients' settings, bootstrap.servers included. ``booking`` is the seam at which a test
    lets a run die in the middle."""

    client: Mapping[str, Any]
    clickhouse: Client
    only: Filter = EVERYTHING
    as_known_at: int | None = None
    apply: bool = False
    wait_s: float = 60.0
    booking: type[Booking] = Booking


@dataclass
class Report:
    """What a run found, before it booked anything."""

    catalog_offset: int = 0
    pages: int = 0
    old: Sides = field(default_factory=dict)
    new: Sides = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """Calls that are left as they are, by reason."""
    left_lines: list[dict[str, Any]] = field(default_factory=list)
    moves: int = 0
    booked: int = 0
    outstanding: int = 0
    """Moves that are left to book."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """By customer, model and currency."""
        return rows(self.old, self.new)


def rerate(
    options: Options,
    say: Callable[[str], None] = lambda line: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Compare what usage was charged with what the catalog says now and, with ``apply``, book the difference.

    Raises Fatal when the meter or the loader is behind for ``wait_s``; Fenced when another re-rating has begun.
    """
    booking = options.booking(options.client) if options.apply else None
    if booking is not None:
        booking.fence()
    positions = Positions(options.client)
    run = _Run(options, now(), settle(positions, options.wait_s, say, (RESALE,)))
    report = Report(run.catalog_offset)
    sent: list[Place] = []
    for places, found in run.judged(run.pages(), say):
        report.pages += len(places)
        _add(report, found, run.all_known)
        if booking is not None and found.moves.height:
            for part in _by_pages(found.moves):
                events = corrections(part)
                say(f"booking {len(events)} corrections")
                booking.book(events)
                report.booked += len(events)
            sent += places
    report.outstanding = report.moves
    if report.booked:
        settle(positions, options.wait_s, say, (RESALE,))
        again = run.pages({(place.partition, place.first_offset) for place in sent})
        report.outstanding = sum(found.moves.height for _, found in run.judged(again, say))
    return report


def _add(report: Report, found: Judgement, rater: Rater) -> None:
    add(report.old, priced(found.before, rater))
    add(report.new, priced(found.after, rater))
    report.moves += found.moves.height
    for row in found.left.iter_rows(named=True):
        report.left[row["reason"]] = report.left.get(row["reason"], 0) + row["calls"]
        report.left_lines.append(row)


class _Run:
    """One look at the catalog and the store; ``ends``: up to where each partition of usage.events is loaded."""

    def __init__(self, options: Options, now: datetime, ends: Mapping[int, int]) -> None:
        self._only, self._now, self._ends = options.only, now, ends
        self._store = Store(options.clickhouse)
        self._books = Books(KafkaLogReader(options.client))
        self.catalog_offset = self._books.end if options.as_known_at is None else options.as_known_at
        self._new = self._books.at(self.catalog_offset)
        self.all_known = self._books.at(self._books.end)
        """Knows every price that anything was ever rated by."""

    def pages(self, wanted: set[tuple[int, int]] | None = None) -> list[dict[str, Any]]:
        """The pages that have usage in question, or those of them that are wanted.

        What is metered meanwhile is left out: its lines and raw events may be half loaded.
        """
        found = [*_frame(self._store, "pages", **self._only.parameters()).iter_rows(named=True)]
        found = [row for row in found if row["last_offset"] < self._ends.get(row["partition"], 0)]
        return [row for row in found if wanted is None or (row["partition"], row["first_offset"]) in wanted]

    def judged(
        self, pages: Sequence[dict[str, Any]], say: Callable[[str], None]
    ) -> Iterator[tuple[list[Place], Judgement]]:
        """Yield pages, as many at once as fit, and what is to be done about them."""
        for part in _chunks(pages):
            say(f"judging {len(part)} of {len(pages)} pages")
            names = ("partition", "first_offset", "last_offset", "catalog_offset")
            places = [Place(**{name: row[name] for name in names}) for row in part]
            yield places, judge(self._usage(places, part), self._new, self._books.at, self._now)

    def _usage(self, places: list[Place], pages: Sequence[dict[str, Any]]) -> PageUsage:
        reconciled = self._corrections(places, RECONCILE).rename({"rating": "rated_by"})
        return PageUsage(
            places,
            {(row["partition"], row["first_offset"]): row["closed_at"] for row in pages},
            raw_events(self._store, places, self._only),
            lines(self._store, places, self._only),
            reconciled,
            self._corrections(places, SOURCE),
        )

    def _corrections(self, places: list[Place], source: str) -> pl.DataFrame:
        names = [f"page:{place.partition}@{place.first_offset}" for place in places]
        frame = _frame(self._store, "booked", source=source, names=names, **self._only.parameters())
        hour = pl.col("occurred_at").dt.truncate("1h").dt.cast_time_unit("us").alias("occurred_hour")
        return frame.with_columns(pl.col("occurred_at").dt.cast_time_unit("us"), hour, *weights())


def _chunks(pages: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    begin, events = 0, 0
    for number, row in enumerate(pages):
        events += row["events"]
        if events >= EVENTS_AT_ONCE or number + 1 - begin == PAGES_AT_ONCE or number + 1 == len(pages):
            yield pages[begin : number + 1]
            begin, events = number + 1, 0


def _by_pages(moves: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Moves of whole pages, as many at once as a transaction should carry."""
    begin = 0
    for page in moves.select(PAGE, end=pl.int_range(1, pl.len() + 1)).group_by(PAGE, maintain_order=True).last()["end"]:
        if page - begin >= BOOKED_AT_ONCE or page == moves.height:
            yield moves[begin:page]
            begin = page


def _frame(store: Store, name: str, **parameters: Any) -> pl.DataFrame:
    statement = sql(name, "tokenmeter.ops.rerate")
    found = pl.from_arrow(store.client.query_arrow(statement, parameters=parameters))
    if not isinstance(found, pl.DataFrame):
        raise Fatal(f"{name}.sql gave no table")
    return found
