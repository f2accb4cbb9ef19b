"""The verb ``ledger``: the worker that keeps every balance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import PortOption
from tokenmeter.events.groups import LEDGERS
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.ledger import app as ledger_app
from tokenmeter.flow.page.page import PageLimits


def ledger(
    port: PortOption = 6068,
    slot: Annotated[
        str | None, typer.Option(help="worker slot: a replacement in the same slot takes over at once")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Run a ledger: ledger.entries into balances (account.state) and alerts."""
    settings = load(data=data)
    client = kafka(settings, "workers")
    worker = WorkerConfig(
        LEDGERS.id,
        client["bootstrap.servers"],
        LEDGERS.topics,
        settings.data / "ledger",
        web_host=settings.worker_host,
        web_port=port,
        instance_id=slot and f"ledger-{slot}",
        client=client,
        limits=PageLimits(
            settings.page_seconds,
            min(ledger_app.PAGE_MIN_SECONDS, settings.page_min_seconds),
            events=settings.page_events,
            demand_interval_s=ledger_app.DEMAND_INTERVAL_S,
        ),
        fetch_bytes_min=ledger_app.FETCH_BYTES_MIN,
    )
    ledger_app.run(ledger_app.LedgerConfig(worker))
