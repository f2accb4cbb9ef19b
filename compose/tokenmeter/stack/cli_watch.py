"""The verb ``watch``: the worker that tells what is not a subject's habit, and what it would have told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenmeter.flow import watch_app
from tokenmeter.flow.page import PageLimits
from tokenmeter.flow.watch.settings import Sensitivity
from tokenmeter.flow.watch.settings import Settings as Plan
from tokenmeter.flow.worker import WorkerConfig
from tokenmeter.stack.places import bootstrap
from tokenmeter.stack.settings import load

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: tokenmeter watch --sensitivity high")
def watch(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="port of /health and /metrics")] = 6069,
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
    worker = WorkerConfig(
        watch_app.APP_ID,
        bootstrap(settings),
        watch_app.TOPICS,
        settings.data / "watch",
        web_port=port,
        instance_id=slot and f"watch-{slot}",
        limits=PageLimits(
            settings.page_seconds,
            max(watch_app.PAGE_MIN_SECONDS, settings.page_min_seconds),
            events=settings.page_events,
        ),
    )
    watch_app.run(watch_app.WatchConfig(worker, Plan(sensitivity=Sensitivity[settings.watch_sensitivity.upper()])))
