"""``tokenmeter spool``: see what an emitter left on its disk, and bring it to Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import bar, console
from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.spool import summary
from tokenmeter.events.errors import Undelivered

PATIENCE_S = 60.0
SHOW_EVERY_S = 0.2

SpoolArgument = Annotated[Path, typer.Argument(metavar="DIR", help="the directory given as Emitter(spool=DIR)")]


app = typer.Typer(no_args_is_help=True, help="List and drain the spool of an SDK emitter.")


@app.command(name="list", epilog="Example: tokenmeter spool list /var/lib/app/spool")
def show(spool: SpoolArgument) -> None:
    """Show what waits in a spool: events, bytes and age of each source, in order. Changes nothing."""
    found = summary(spool)
    table = Table("source", "topic", "events", "bytes", "oldest", "newest", box=SIMPLE_HEAD)
    for one in found:
        times = (_clock(one.oldest_us), _clock(one.newest_us))
        where = (Text(one.source, overflow="fold"), Text(one.topic, overflow="fold"))
        table.add_row(*where, str(one.events), str(one.size_bytes), *times)
    if found:
        console.print(table)
    events, size_bytes = sum(one.events for one in found), sum(one.size_bytes for one in found)
    oldest = f", the oldest of {_clock(min(one.oldest_us for one in found))}" if found else ""
    console.print(f"{events} events, {size_bytes} bytes{oldest}", highlight=False, soft_wrap=True)


@app.command(epilog="Example: TOKENMETER_KAFKA_BOOTSTRAP=kafka:9092 tokenmeter spool drain /var/lib/app/spool")
def drain(
    spool: SpoolArgument,
    patience: Annotated[
        float, typer.Option(min=0.1, help="give up after so many seconds without an acknowledgement")
    ] = PATIENCE_S,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Send all that waits in a spool, in order. Exit 0 only when it is empty; what is left stays in it."""
    total = sum(one.events for one in summary(spool))
    client = kafka(load(data=data))
    emitter = Emitter(client["bootstrap.servers"], spool=spool, client_config=client)
    try:
        with bar("draining", total) as advance:
            _until_empty(emitter, total, advance, patience)
    finally:
        emitter.close(0)
    console.print(f"{total} events acknowledged; the spool is empty", highlight=False, soft_wrap=True)


def _until_empty(emitter: Emitter, total: int, advance: Callable[[int], None], patience_s: float) -> None:
    left, moved_at = total, time.monotonic()
    while True:
        try:
            return emitter.flush(SHOW_EVERY_S)
        except Undelivered as undelivered:
            if undelivered.count < left:
                left, moved_at = undelivered.count, time.monotonic()
            if time.monotonic() - moved_at > patience_s:
                raise
        finally:
            advance(total - emitter.stats.spooled)


def _clock(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M:%S}Z"
