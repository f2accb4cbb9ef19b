"""Up to when ClickHouse has all that the meters closed: pages whose every billing line is loaded.

The loader takes each topic's partition in order, so of one partition's pages a beginning is loaded. A page is whole
when it is loaded and has as many lines as it says. Of pages beyond the newest one ClickHouse knows nothing, so by
itself it says when that one closed, even if nothing was metered since. Who can ask Kafka says which partitions of
usage.pages the loader has read to their ends (``PagesRead``); those are complete until then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from clickhouse_connect.driver.client import Client

from tokenmeter.store.statement import sql

PAGES = (200, 20_000)
"""The newest pages of a partition that are looked at: first these, then, when none of them is whole, more."""
LINES_KEPT = timedelta(days=90)
"""Of a page that closed earlier, some lines may be too old to be kept."""

PagesRead = Mapping[int, datetime | None]
"""By partition of usage.pages: when, before ClickHouse is asked, the loader was seen at its end; None: it was not."""


@dataclass(frozen=True)
class Page:
    """One page as ClickHouse has it: ``lines`` of its ``billing_lines`` are loaded, of calls of ``days``."""

    partition: int
    closed_at: datetime
    billing_lines: int
    lines: int
    days: tuple[date, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """``by_partition``: up to when all its pages are whole; None: not to be said.

    ``recent_days`` are those of the lines of the newest pages, whose totals may not know them yet.
    """

    by_partition: dict[int, datetime | None]
    recent_days: frozenset[date]

    @property
    def complete_until(self) -> datetime | None:
        """The earliest of the partitions; None when one cannot be said, or nothing was loaded."""
        times = [time for time in self.by_partition.values() if time is not None]
        return min(times) if times and len(times) == len(self.by_partition) else None


def loaded(client: Client, now: datetime, pages_read: PagesRead | None = None) -> Loaded:
    """Look at the newest pages."""
    found = Loaded({}, frozenset())
    for pages in PAGES:
        rows = client.query(sql("usage_loaded_pages"), parameters={"pages": pages}).result_rows
        newest = [
            Page(partition, closed_at.replace(tzinfo=UTC), said, lines, tuple(days))
            for partition, closed_at, said, lines, days in rows
        ]
        found = judged(newest, now, pages_read)
        if None not in found.by_partition.values():
            break
    return found


def judged(pages: Iterable[Page], now: datetime, pages_read: PagesRead | None = None) -> Loaded:
    """From the newest pages of each partition, oldest first."""
    of_partition: dict[int, list[Page]] = defaultdict(list)
    days: set[date] = set()
    for page in pages:
        of_partition[page.partition].append(page)
        days.update(page.days)
    read = pages_read or {}
    until = {number: _until(of_partition[number], now, read.get(number)) for number in sorted({*of_partition, *read})}
    return Loaded(until, frozenset(days))


def _until(pages: Sequence[Page], now: datetime, read_at: datetime | None) -> datetime | None:
    """Of one partition."""
    until = None
    for page in pages:
        if page.closed_at >= now - LINES_KEPT and page.lines < page.billing_lines:
            return until
        until = page.closed_at
    return until if read_at is None else read_at
