"""Puts a simulated market into ClickHouse and takes it out again: the tables of the database ``simulated``, alone.

Rows go in as the loader's do (ArrowStream, then the same totals of them), a stretch of days at a time. Lines that are
there already are not written again: a market of a later hour of the same day only adds its hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC

import polars as pl
from clickhouse_connect.driver.client import Client

from tokenmeter.stack.simulate.market import Market
from tokenmeter.store.insert import insert_arrow
from tokenmeter.store.statement import sql
from tokenmeter.store.totals import DAY, HOUR, MINUTE, SOURCES, Totals

DATABASE = "simulated"
TABLES = tuple(table for name in ("usage_market", "usage_events") for table in (name, *SOURCES[name].made))
STRETCH_DAYS = 14
"""The hours of so many days fit into one request."""
Progress = Callable[[int], None]


def simulated_rows(client: Client) -> dict[str, int]:
    """Rows of each table that holds simulated ones."""
    return {table: _rows(client, DATABASE, table) for table in TABLES}


def metered_rows(client: Client) -> int:
    """Market lines and raw events that were metered."""
    return sum(_rows(client, "tokenmeter", table) for table in ("usage_market", "usage_events"))


def remove(client: Client) -> int:
    """Remove every simulated row and no other; how many lines and calls there were."""
    there = simulated_rows(client)
    _empty(client, TABLES)
    return there["usage_market"] + there["usage_events"]


def _empty(client: Client, tables: Iterable[str]) -> None:
    for table in tables:
        client.command(sql("empty_table"), parameters={"database": DATABASE, "table": table})


def put(client: Client, market: Market, progress: Progress = lambda days: None) -> None:
    """Write the market in place of the one before. Killed half-way, putting or removing again sets it right."""
    rest = missing(client, market.lines)
    kept = () if rest.height == market.lines.height else ("usage_market", *SOURCES["usage_market"].made)
    _empty(client, [table for table in TABLES if table not in kept])
    totals = Totals(client, DATABASE)
    for done, (day, hours, rows) in enumerate(_stretches(rest), 1):
        _insert(client, "usage_market", rows)
        totals.make("usage_market", day, hours, STRETCH_DAYS)
        progress(done * STRETCH_DAYS)
    _insert(client, "usage_events", market.calls)
    minutes = (market.calls["occurred_at"].dt.epoch("s") // MINUTE * MINUTE).unique().sort()
    for day in (minutes // DAY * DAY).unique().sort().to_list():
        totals.make("usage_events", day, minutes.filter((minutes >= day) & (minutes < day + DAY)).to_list())


def merge(client: Client) -> None:
    """Merge what was put: 4 s once for 18 months, and every chart after it takes a third less of the CPU."""
    for table in TABLES:
        client.command(sql("merge_table"), parameters={"database": DATABASE, "table": table})


def missing(client: Client, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines to add: those after the last stored hour when all before it are stored with their totals, else all."""
    until = client.query(sql("simulated_until")).result_rows[0][0].replace(tzinfo=UTC)
    past = lines.filter(pl.col("occurred_hour") <= until)
    days = pl.col("occurred_hour").dt.date()
    wanted = past.group_by(days.alias("day")).agg(pl.len(), (pl.col("input_tokens") + pl.col("output_tokens")).sum())
    stored = client.query(sql("simulated_days")).result_rows
    there = {day: (count, tokens) for day, count, tokens, *totals in stored if set(totals) == {tokens}}
    if there != {day: (count, tokens) for day, count, tokens in wanted.iter_rows()}:
        return lines
    return lines.filter(pl.col("occurred_hour") > until)


def stretch_count(market: Market) -> int:
    """Days that ``put`` reports at its end."""
    return STRETCH_DAYS * sum(1 for _ in _stretches(market.lines))


def _stretches(lines: pl.DataFrame) -> Iterator[tuple[int, list[int], pl.DataFrame]]:
    """(first day, its hours, its lines) for every STRETCH_DAYS; nothing of nothing, as in a day's first hour."""
    if lines.is_empty():
        return
    seconds = lines["occurred_hour"].dt.epoch("s")
    first, last = (int(value) // DAY * DAY for value in (seconds[0], seconds[-1]))
    for day in range(first, last + DAY, STRETCH_DAYS * DAY):
        rows = lines.slice(*_range(seconds, day, day + STRETCH_DAYS * DAY))
        if rows.height:
            yield day, (rows["occurred_hour"].dt.epoch("s") // HOUR * HOUR).unique().sort().to_list(), rows


def _range(seconds: pl.Series, start: int, end: int) -> tuple[int, int]:
    """(offset, length) of what is within [start, end) of sorted seconds."""
    low, high = int(seconds.search_sorted(start)), int(seconds.search_sorted(end))
    return low, high - low


def _insert(client: Client, table: str, rows: pl.DataFrame) -> None:
    insert_arrow(client, f"{DATABASE}.{table}", rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _rows(client: Client, database: str, table: str) -> int:
    found = client.query(sql("table_rows"), parameters={"database": database, "table": table})
    return int(found.result_rows[0][0])
