"""``python -m bench.boards``: 18 months of 100 M market lines and 20 M calls; what each chart of each board costs.

Rows are of 300 models, 1 000 applications and 40 countries. They stand where simulated rows do, since metered lines are
kept 126 days only; the boards' views read both alike, and the totals are those a loader makes. Each chart is asked with
the SQL that Superset makes of it, the engine's caches dropped before: as it is, then of one app, which a larger view
answers. Exit 1 when p95 of the charts as they are, or a board in a browser that has been there, is above its target.
With ``--store`` the rows are kept in a folder, and asked again without loading them anew.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import typer
from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from bench.kept import keep
from browser.chromium import chromium, logged_in, open_board, open_tab
from support.board_filters import REACHED
from support.clickhouse import Server
from support.superset import api, shared_node
from tokenmeter.boards import BOARDS, Database, publish
from tokenmeter.boards.chart import Chart
from tokenmeter.stack.simulate.market import span
from tokenmeter.stack.simulate.store import DATABASE
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate
from tokenmeter.store.totals import DAY, HOUR, MINUTE, Totals

SQL = Path(__file__).parent / "queries"
STEP = 1_000_000
STRETCH_DAYS = 7
TRIES = 5
CHART_TARGET_S, BOARD_TARGET_S, LOADING_MAX_S = 1.0, 5.0, 720.0
FILTERED = {"app": "app-0"}
"""The largest app."""
CACHES = ("MARK", "UNCOMPRESSED", "QUERY", "QUERY CONDITION")


@dataclass(frozen=True)
class Asked:
    """A chart's slowest of TRIES, in seconds, and how many rows it read."""

    chart: str
    view: str
    cold_s: float
    read_rows: int


def fill(client: Client, name: str, rows: int, deadline_s: float, **given: int) -> int:
    """Rows that went in before the deadline."""
    statement, done = (SQL / f"{name}.sql").read_text(), 0
    for start in range(0, rows, STEP):
        if time.monotonic() > deadline_s:
            break
        client.command(statement, parameters={"total": rows, "start": start, "rows": min(STEP, rows - start), **given})
        done = min(rows, start + STEP)
    return done


def make_totals(client: Client, first: int, until: int) -> float:
    """Seconds for the totals of [first, until), as a loader makes them."""
    totals, began = Totals(client, DATABASE), time.monotonic()
    for day in range(first, until, STRETCH_DAYS * DAY):
        hours = list(range(day, min(day + STRETCH_DAYS * DAY, until), HOUR))
        totals.make("usage_market", day, hours, STRETCH_DAYS)
    for day in range((until - 30 * DAY) // DAY * DAY, until, DAY):
        totals.make("usage_events", day, list(range(day, day + DAY, MINUTE)))
    return time.monotonic() - began


@dataclass(frozen=True)
class Filled:
    """What a store holds, in rows, and what it took."""

    lines: int
    calls: int
    loading_s: float
    totals_s: float


def load(client: Client, lines: int, calls: int, loading_max_s: float) -> Filled:
    """Lines and calls, each as many as go in before ``loading_max_s``, and their totals."""
    over = span(datetime.now(UTC), 18)
    until = int(over.until.timestamp())
    first = int(datetime(over.first.year, over.first.month, over.first.day, tzinfo=UTC).timestamp())
    began = time.monotonic()
    wanted = {"from": first, "until": until}
    done = fill(client, "fill_market_lines", lines, began + loading_max_s, **wanted)
    done_calls = fill(client, "fill_market_calls", calls, time.monotonic() + loading_max_s, until=until)
    loading_s = time.monotonic() - began
    return Filled(done, done_calls, round(loading_s), round(make_totals(client, first, until)))


@contextmanager
def folder_of(store: Path | None) -> Iterator[Path]:
    """The folder to keep rows in, or one that goes with the bench."""
    if store is None:
        with tempfile.TemporaryDirectory(prefix="tokenmeter-bench-") as folder:
            yield Path(folder)
    else:
        store.mkdir(parents=True, exist_ok=True)
        yield store


def filled(client: Client, store: Path | None, lines: int, calls: int) -> Filled:
    """What is kept in ``store``, or is loaded now: without a hurry where it will be kept."""
    migrate(client)
    noted = store / "filled.json" if store else None
    if noted and noted.exists():
        return Filled(**json.loads(noted.read_text()))
    done = load(client, lines, calls, math.inf if noted else LOADING_MAX_S)
    if noted:
        noted.write_text(json.dumps(asdict(done)))
    return done


def statements(charts: list[Chart], chosen: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The SQL that Superset asks for each chart, with what is ``chosen`` in the filters that reach it."""
    node, found = shared_node(), {}
    with api(node) as client:
        datasets = {
            one["table_name"]: one["id"]
            for one in client.get("/dataset/?q=(page_size:100)").raise_for_status().json()["result"]
        }
        for chart in charts:
            body = {**chart.query(datasets[chart.view]), "result_type": "query"}
            reached = REACHED.get(chart.view, frozenset()) & set(chosen)
            body["queries"][0]["filters"] += [{"col": name, "op": "IN", "val": [chosen[name]]} for name in reached]
            if chosen and not reached:
                continue
            found[chart.key] = client.post("/chart/data", json=body).raise_for_status().json()["result"][0]["query"]
    return found


def ask(client: Client, chart: Chart, statement: str, tries: int) -> Asked:
    took = []
    for _ in range(tries):
        for cache in CACHES:
            client.command(f"SYSTEM DROP {cache} CACHE")
        began = time.perf_counter()
        client.query(statement)
        took.append(time.perf_counter() - began)
    read = sum(int(row["rows"]) for row in client.query(f"EXPLAIN ESTIMATE {statement}").named_results())
    return Asked(chart.key, chart.view, max(took), read)


def in_the_browser() -> dict[str, list[float]]:
    """Seconds until every chart of a board's first tab is drawn, by board: in a browser that sees it for the first
    time, and in one that has been there. None without a Chromium."""
    node, took = shared_node(), dict[str, list[float]]()
    if chromium() is None:
        return took
    with logged_in(node.url, node.user, node.password) as page:
        for board in (*BOARDS, *BOARDS):
            began = time.perf_counter()
            open_board(page, node.url, board.slug)
            open_tab(page, 0, len(board.tabs[0].charts))
            took.setdefault(board.title, []).append(round(time.perf_counter() - began, 2))
    return took


def show(console: Console, found: list[Asked], what: str) -> float:
    """Print the charts, the slowest first; p95 of them in seconds."""
    table = Table("chart", "view", "cold", "rows read", title=what)
    for one in sorted(found, key=lambda one: -one.cold_s):
        table.add_row(one.chart, one.view, f"{one.cold_s:.3f} s", f"{one.read_rows:,}")
    console.print(table)
    p95 = float(np.percentile([one.cold_s for one in found], 95))
    console.print(f"p95 of {len(found)} charts: {p95:.3f} s (target {CHART_TARGET_S} s)", highlight=False)
    return p95


def main(
    lines: Annotated[int, typer.Option(min=STEP, help="market lines, of 18 months")] = 100_000_000,
    calls: Annotated[int, typer.Option(min=1, help="raw events, of 30 days")] = 20_000_000,
    tries: Annotated[int, typer.Option(min=1, help="how often each chart is asked")] = TRIES,
    store: Annotated[Path | None, typer.Option(help="keep the rows here; asked again if they are there")] = None,
) -> None:
    """Fill a store, publish the boards, ask each chart; print and keep the figures."""
    console = Console(width=110)
    with folder_of(store) as folder:
        server = Server(folder)
        server.start()
        try:
            client = connect(server.url, "writer", "secret", query_timeout_s=3_600)
            has = filled(client, store, lines, calls)
            console.print(f"{has.lines:,} market lines and {has.calls:,} calls in {has.loading_s:,.0f} s")
            console.print(f"their totals in {has.totals_s:,.0f} s")
            node, charts = shared_node(), [chart for board in BOARDS for chart in board.charts]
            publish(node.url, node.user, node.password, Database(server.url, "reader", "look"))
            plain, of_app = statements(charts), statements(charts, FILTERED)
            found = [ask(client, chart, plain[chart.key], tries) for chart in charts]
            filtered = [ask(client, chart, of_app[chart.key], tries) for chart in charts if chart.key in of_app]
            p95 = show(console, found, f"the slowest of {tries}, nothing cached")
            filtered_p95 = show(console, filtered, f"of one app: the slowest of {tries}, nothing cached")
            drawn = in_the_browser()
        finally:
            server.child.kill()
    for title, (first, again) in drawn.items():
        said = f"board {title} drawn in {again:.1f} s (target {BOARD_TARGET_S} s)"
        console.print(f"{said}, the first time in {first:.1f} s", highlight=False)
    kept = {
        "charts": [asdict(one) for one in found],
        "of_one_app": [asdict(one) for one in filtered],
        "p95_s": round(p95, 3),
        "of_one_app_p95_s": round(filtered_p95, 3),
        "boards_s": drawn,
    }
    keep("boards", {"lines": has.lines, "calls": has.calls, **kept})
    if p95 > CHART_TARGET_S or any(again > BOARD_TARGET_S for _, again in drawn.values()):
        raise SystemExit("missed: a chart or a board is slower than its target")


if __name__ == "__main__":
    typer.run(main)
