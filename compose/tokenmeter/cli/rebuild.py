"""``tokenmeter rebuild``: ClickHouse anew from Kafka, after saying plainly what Kafka no longer has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import console
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.rebuild import SESSION_EXPIRY_S, Rebuild
from tokenmeter.stack.environment import of_kafka
from tokenmeter.stack.local import LocalStack
from tokenmeter.stack.rebuild_loader import loader_process
from tokenmeter.stack.state import Stack
from tokenmeter.store.client import connect


@contextmanager
def _stores(settings: Settings) -> Iterator[tuple[dict[str, Any], tuple[str, str, str]]]:
    """Kafka and ClickHouse as set; or those of the data directory, started for this without workers."""
    if settings.kafka_bootstrap is not None and settings.clickhouse_url is not None:
        yield kafka(settings), clickhouse(settings)
        return
    parent = Stack.load(settings.data).parts.get("tokenmeter")
    if parent is not None and parent.pid is not None:
        raise Misconfigured(
            f"a stack with a loader is running on {settings.data}", hint="tokenmeter down; then tokenmeter rebuild"
        )
    stack = LocalStack(settings, lambda line: console.print(line, highlight=False), stores_only=True)
    stack.start()
    try:
        yield stack.kafka.client, clickhouse(settings)
    finally:
        stack.stop()


def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="do it; without it only say what would be done")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="also when Kafka no longer has all that ClickHouse was loaded from")
    ] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Drop ClickHouse's loaded tables and views and load them again from Kafka. Stop every loader first."""
    settings = load(data=data)
    if settings.clickhouse_cluster is not None:
        raise Misconfigured(
            f"rebuild empties the tables of one server, not of the cluster {settings.clickhouse_cluster}",
            hint="drop the shards' tables yourself, then tokenmeter migrate, and put the loader's group at the start",
        )
    with _stores(settings) as (client, store):
        told = of_kafka(client["bootstrap.servers"], settings.kafka_access())
        work = Rebuild(client, connect(*store), loader_process(told, store, settings.data))
        work.require_no_loader(SESSION_EXPIRY_S)
        gone = work.gone()
        for one in gone:
            console.print(f"retention: {one}", highlight=False, soft_wrap=True)
        if gone and not accept_loss:
            raise Misconfigured(
                "Kafka no longer has all that ClickHouse was loaded from; what is older than it has would be gone",
                hint="tokenmeter rebuild --accept-loss --yes, if ClickHouse is worth less than that",
            )
        if not yes:
            console.print(
                "this drops every view and every loaded table of tokenmeter and reads all topics again; --yes does it"
            )
            return
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("replay", total=None)
            rebuilt = work.run(lambda done, total: bar.update(task, completed=done, total=total))
        table = Table("table", "rows before", "rows after", "contents", box=SIMPLE_HEAD)
        for name, before in rebuilt.before.items():
            after = rebuilt.after[name]
            table.add_row(".".join(name), str(before[0]), str(after[0]), "equal" if before == after else "DIFFERENT")
        console.print(table)
        if not rebuilt.equal and not gone:
            console.print(
                "different: what had not been loaded yet is there now, or ClickHouse had been changed by hand"
            )
