"""``python -m bench.store``: 40 M market lines and 20 M raw events in the embedded server; what the boards' questions
cost, and how fast pages load beside readers. Exit 1 when a target is missed.

Lines are made in ClickHouse, in time order as a loader brings them: 18 months, 300 models, 1 000 applications. Totals
are made as the loader makes them.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from bench.kept import keep
from bench.store_server import READERS as READERS_AT_ONCE
from bench.store_server import beside_a_slow_query, stream
from support.clickhouse import Server
from support.events import value
from support.lines import all_buckets
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.store.client import connect
from tokenmeter.store.insert import insert_arrow
from tokenmeter.store.migrate import migrate
from tokenmeter.store.totals import SOURCES, Totals, days

SQL = Path(__file__).parent / "queries"
STEP = 1_000_000
TRIES = 5
LOAD_S = 20.0
PAGE_ROWS = 100_000
READERS = 2
QUESTIONS = {path.stem[4:]: path.read_text() for path in sorted(SQL.glob("ask_*.sql"))}
TARGET_S = {"90_days_by_model": 0.3, "all_weeks_by_author": 0.3, "last_day_by_minute": 0.5}
BESIDE = "all_weeks_by_author"
"""What readers ask while pages are loaded."""
TARGET_ROWS_S = 200_000
TARGET_STREAM_MB, TARGET_READERS_S = 200, 60.0
RAW_DAYS, LAST_DAY = 30, "last_day_by_minute"
"""A day until now lies in two partitions: no more than their rows may be read."""


@dataclass(frozen=True)
class Asked:
    """What a question took: the best and the middle of TRIES, in seconds; how many rows were read."""

    best_s: float
    median_s: float
    read_rows: int


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fill(client: Client, name: str, rows: int) -> float:
    """Rows a second."""
    statement = (SQL / f"{name}.sql").read_text()

    def insert() -> None:
        for start in range(0, rows, STEP):
            client.command(statement, parameters={"total": rows, "start": start, "rows": min(STEP, rows - start)})

    return rows / timed(insert)


def make_totals(client: Client) -> float:
    """Seconds for the totals of everything there is, as a loader makes them."""
    totals = Totals(client)
    totals.touch(all_buckets(client))
    pending = totals.pending()

    def make() -> None:
        for source in SOURCES:
            for day, buckets in days(bucket for name, bucket in pending if name == source):
                totals.remake(source, day, buckets)

    return timed(make)


def ask(client: Client, question: str) -> Asked:
    took = [timed(lambda: client.query(question)) for _ in range(TRIES)]
    estimate = client.query(f"EXPLAIN ESTIMATE {question}").named_results()
    return Asked(min(took), statistics.median(took), sum(int(row["rows"]) for row in estimate))


def load_beside_readers(url: str) -> tuple[float, float]:
    """(raw rows a second through the loader's own insert, median seconds of the readers' question meanwhile)."""
    frame = decode([value(number) for number in range(1_000)]).frame.drop(INDEX)
    page = pl.concat([frame] * (PAGE_ROWS // frame.height)).with_columns(
        pl.lit(0, pl.Int32).alias("partition"), pl.lit(datetime.now(UTC)).dt.cast_time_unit("ms").alias("appended_at")
    )
    ended, asked = threading.Event(), []

    def read() -> None:
        reader = connect(url, "reader", "look")
        while not ended.is_set():
            asked.append(timed(lambda: reader.query(QUESTIONS[BESIDE])))

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    client, rows, began = connect(url, "writer", "secret"), 0, time.perf_counter()
    while time.perf_counter() - began < LOAD_S:
        offsets = pl.int_range(rows, rows + PAGE_ROWS, dtype=pl.Int64, eager=True).alias("offset")
        ids = (pl.lit("bench-") + offsets.cast(pl.String)).alias("event_id")
        numbered = page.with_columns(ids).insert_column(page.columns.index("appended_at"), offsets)
        insert_arrow(client, "tokenmeter.usage_events", numbered.to_arrow(compat_level=pl.CompatLevel.oldest()))
        rows += PAGE_ROWS
    rate = rows / (time.perf_counter() - began)
    ended.set()
    for reader in readers:
        reader.join()
    return rate, statistics.median(asked)


def main(
    lines: Annotated[int, typer.Option(min=STEP, help="market lines, of 18 months")] = 40_000_000,
    events: Annotated[int, typer.Option(min=STEP, help="raw events, of 30 days")] = 20_000_000,
) -> None:
    """Fill a store, ask what the boards ask, load beside readers; print and keep the figures."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="tokenmeter-bench-") as folder:
        server = Server(Path(folder), reads=("tokenmeter",))
        server.start()
        try:
            client = connect(server.url, "writer", "secret")
            migrate(client)
            lines_s, events_s = fill(client, "fill_lines", lines), fill(client, "fill_events", events)
            console.print(f"filled: {lines_s:,.0f} lines/s, {events_s:,.0f} raw rows/s", highlight=False)
            console.print(f"totals of all of it: {make_totals(client):.1f} s", highlight=False)
            answers = {name: ask(client, question) for name, question in QUESTIONS.items()}
            waited_s = beside_a_slow_query(server, QUESTIONS[BESIDE])
            streamed = stream(server)
            rate, beside_s = load_beside_readers(server.url)
        finally:
            server.child.kill()
    table = Table("question", "best", "median", "target", "rows read")
    for name, asked in answers.items():
        target = f"{TARGET_S[name]:.1f} s" if name in TARGET_S else ""
        table.add_row(name, f"{asked.best_s:.3f} s", f"{asked.median_s:.3f} s", target, f"{asked.read_rows:,}")
    console.print(table)
    console.print(
        f"loading beside {READERS} readers: {rate:,.0f} rows/s (target {TARGET_ROWS_S:,}); they wait {beside_s:.3f} s",
        highlight=False,
    )
    console.print(
        f"{READERS_AT_ONCE} readers at once beside a slow query: all answered after {waited_s:.1f} s\n"
        f"{streamed.megabytes} MB streamed in {streamed.seconds:.1f} s with {streamed.peak_mb} MB more memory "
        f"(target {TARGET_STREAM_MB} MB)",
        highlight=False,
    )
    kept = {name: vars(asked) for name, asked in answers.items()}
    served = {"readers_beside_slow_s": waited_s, "streamed_mb": streamed.megabytes, "stream_peak_mb": streamed.peak_mb}
    keep("store", {"lines": lines, "events": events, **kept, **served, "load_rows_per_second": round(rate)})
    held = {
        **{name: answers[name].best_s <= target_s for name, target_s in TARGET_S.items()},
        "rows read of the last day": answers[LAST_DAY].read_rows <= 2 * events / RAW_DAYS * 1.05,
        "loading": rate >= TARGET_ROWS_S,
        "streaming": streamed.peak_mb <= TARGET_STREAM_MB,
        "readers": waited_s <= TARGET_READERS_S,
    }
    missed = [name for name, is_held in held.items() if not is_held]
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    typer.run(main)
