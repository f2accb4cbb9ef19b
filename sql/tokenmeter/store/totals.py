"""Totals by hour, day and minute: absolute, and made anew for what the rows of a page touched.

``touch`` is called after a page's rows are in and before the page is committed; ``remake`` makes the totals of what was
touched. Whatever is killed in between, ``pending`` still says what is due. Versions come from the server and are taken
before a remake reads, so of two remakes at once the later one counts and has seen the rows of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from tokenmeter.events.errors import Fatal, Transient
from tokenmeter.store.insert import SETTINGS
from tokenmeter.store.statement import sql

MINUTE, HOUR, DAY = 60, 3_600, 86_400
"""In seconds."""


@dataclass(frozen=True)
class Source:
    """A table that totals are made of, ``bucket_s`` at a time.

    ``made`` are the tables of totals, in order: one may be made of the one before. Rows older than ``kept_days`` may be
    gone already, so what is older is never made again: its totals stay as they are.
    """

    table: str
    time_column: str
    bucket_s: int
    kept_days: int
    made: tuple[str, ...]


_OF_MARKET = ("market_hourly", "market_daily", "app_daily", "apps_by_day", "contexts_by_day")
SOURCES: dict[str, Source] = {
    source.table: source
    for source in (
        Source("usage_market", "occurred_hour", HOUR, 125, _OF_MARKET),
        Source("usage_billing", "occurred_hour", HOUR, 125, ("billing_daily",)),
        Source("usage_events", "occurred_at", MINUTE, 30, ("calls_by_minute", "calls_by_hour")),
    )
}
TOTALS: tuple[str, ...] = tuple(table for source in SOURCES.values() for table in source.made)

Due = tuple[str, int]
"""(source table, start of an hour or a minute in Unix seconds)"""
P = ParamSpec("P")
T = TypeVar("T")


def days(buckets: Iterable[int]) -> list[tuple[int, list[int]]]:
    """Buckets by the UTC day they are in: (its start, they), oldest day first."""
    by_day: dict[int, list[int]] = defaultdict(list)
    for bucket in sorted(buckets):
        by_day[bucket - bucket % DAY].append(bucket)
    return sorted(by_day.items())


def _errors(function: Callable[P, T]) -> Callable[P, T]:
    """The client's errors as Transient (try again) and Fatal (the server refused)."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            reason = str(error).splitlines()[0][:500]
            if isinstance(error, OperationalError):
                raise Transient(f"ClickHouse did not answer for the totals: {reason}") from error
            raise Fatal(f"ClickHouse refused to make totals: {reason}", hint="tokenmeter migrate") from error
        except (ClickHouseError, OSError) as error:
            raise Transient(f"ClickHouse did not answer for the totals: {error}") from error

    return wrapped


class Totals:
    """The totals of one ClickHouse, made of the tables of ``database``; what is due is noted for ``tokenmeter`` alone.

    Every method may be repeated, and raises Transient or Fatal.
    """

    def __init__(self, client: Client, database: str = "tokenmeter") -> None:
        self._client = client
        self._database = database

    @_errors
    def touch(self, due: Iterable[Due]) -> None:
        """Note that rows of these have arrived, durably. The rows must be in already."""
        pairs = sorted(due)
        if pairs:
            # Taken after the rows are in: later than the version of every remake that may have missed them.
            version = self._version()
            self._note([(source, bucket, version, 0) for source, bucket in pairs])

    @_errors
    def pending(self) -> dict[Due, float]:
        """What is due, by age in seconds, the oldest first."""
        rows = self._client.query(sql("totals_pending")).result_rows
        return {(str(source), int(bucket)): float(age) for source, bucket, age in rows}

    @_errors
    def remake(self, source: str, day: int, buckets: list[int]) -> None:
        """Make the totals of these buckets of ``source``, all of one UTC ``day``, and note that they are made."""
        version = self._version()
        self.make(source, day, buckets)
        self._note([(source, bucket, 0, version) for bucket in buckets])

    @_errors
    def make(self, source: str, day: int, buckets: list[int], days: int = 1) -> None:
        """Make the totals of these buckets without a note. Hours may be of several ``days`` from ``day`` on, then those
        of the whole days."""
        asked = {
            "database": self._database,
            "from": _utc(day),
            "until": _utc(day + days * DAY),
            "first": _utc(min(buckets)),
            "last": _utc(max(buckets)),
            "hours": [_utc(hour) for hour in sorted({bucket - bucket % HOUR for bucket in buckets})],
            "minutes": sorted({(bucket - day) // MINUTE for bucket in buckets}),
        }
        for table in SOURCES[source].made:
            # Each has its own version: it may be made of the table before, which has to be in when that is taken.
            statement, given = sql(f"remake_{table}"), {**asked, "version": self._version()}
            self._client.command(
                statement, parameters={name: given[name] for name in given if f"{{{name}:" in statement}
            )

    def _note(self, rows: list[tuple[str, int, int, int]]) -> None:
        """Rows of totals_due, in the body of the request: a late batch may touch every minute of a month."""
        self._client.insert(
            "tokenmeter.totals_due", rows, column_names=("source", "bucket", "touched", "made"), settings=SETTINGS
        )

    def _version(self) -> int:
        return int(self._client.query(sql("next_version")).result_rows[0][0])


def _utc(seconds: int) -> str:
    """As ClickHouse reads a DateTime('UTC')."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
