"""The verb ``watch``: the worker that tells what is not a subject's habit, and what it would have told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tokenmeter.cli.catalog import DataOption, say
from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import PortOption, console
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.groups import WATCH
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.page.page import PageLimits
from tokenmeter.flow.watch import app as watch_app
from tokenmeter.flow.watch.settings import Sensitivity
from tokenmeter.flow.watch.settings import Settings as Plan
from tokenmeter.stack.alerts.source import since
from tokenmeter.stack.backtest.history import from_clickhouse, from_csv
from tokenmeter.stack.backtest.told import SHOWN_MAX, table, told
from tokenmeter.store.client import connect

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: tokenmeter watch --sensitivity high")
def watch(
    context: typer.Context,
    port: PortOption = 6069,
    slot: Annotated[
        str | None, typer.Option(help="worker slot: a replacement in the same slot takes over at once")
    ] = None,
    sensitivity: Annotated[str | None, typer.Option(help="low, normal, high or close (default normal)")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Run a watch: billing and market lines into alerts on what is not a customer's, key's or model's habit."""
    if context.invoked_subcommand is not None:
        return
    settings = load(data=data, watch_sensitivity=sensitivity)
    client = kafka(settings, "workers")
    worker = WorkerConfig(
        WATCH.id,
        client["bootstrap.servers"],
        WATCH.topics,
        settings.data / "watch",
        web_host=settings.worker_host,
        web_port=port,
        instance_id=slot and f"watch-{slot}",
        client=client,
        stall_seconds=watch_app.STALL_SECONDS,
        limits=PageLimits(
            settings.page_seconds,
            max(watch_app.PAGE_MIN_SECONDS, settings.page_min_seconds),
            events=settings.page_events,
        ),
    )
    watch_app.run(watch_app.WatchConfig(worker, Plan(sensitivity=Sensitivity[settings.watch_sensitivity.upper()])))


@app.command(
    epilog="Examples: tokenmeter watch backtest --since 7d · tokenmeter watch backtest --csv calls.csv --bucket 300"
)
def backtest(
    start: Annotated[str | None, typer.Option("--since", help="replay ClickHouse from then on: 7d, or a time")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="replay a file instead: columns at, subject, value and maybe paid")
    ] = None,
    measure: Annotated[str, typer.Option(help="tokens or calls; of a file only a name")] = "tokens",
    bucket: Annotated[int, typer.Option(help="seconds a bucket; the watch itself has 60", min=1, max=3600)] = 60,
    sensitivity: Annotated[str | None, typer.Option(help="this one alone: low, normal, high or close")] = None,
    data: DataOption = None,
) -> None:
    """List what would have been told of customers and keys at each sensitivity. Nothing is written."""
    if (start is None) == (csv is None):
        raise Misconfigured("either --since or --csv", hint="tokenmeter watch backtest --since 7d")
    if measure not in ("tokens", "calls") and csv is None:
        raise Misconfigured(f"--measure {measure!r} is neither tokens nor calls")
    if 3600 % bucket:
        raise Misconfigured(f"an hour is no whole number of buckets of {bucket} s", hint="--bucket 60, 300 or 900")
    names = [one.name.lower() for one in Sensitivity]
    if sensitivity is not None and sensitivity not in names:
        raise Misconfigured(f"--sensitivity {sensitivity!r} is none of {', '.join(names)}")
    if csv is not None:
        series = from_csv(csv, bucket)
    else:
        client = connect(*clickhouse(load(data=data)))
        series = from_clickhouse(client, since(start or "", datetime.now(UTC)), bucket, measure)
    chosen = [one for one in Sensitivity if sensitivity in (None, one.name.lower())]
    found = told(series, reversed(chosen), bucket, measure, say)
    console.print(table(found))
    if len(found) > SHOWN_MAX:
        say(f"the last {SHOWN_MAX} of {len(found)}")
