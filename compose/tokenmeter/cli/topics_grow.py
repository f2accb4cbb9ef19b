"""The verb ``topics grow``: more partitions for usage.events, with every figure as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import DataOption, say
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.grow import SETTLE_S
from tokenmeter.stack.grow import grow as grow_log
from tokenmeter.stack.local import LocalStack
from tokenmeter.stack.state import Stack
from tokenmeter.stack.topics import ensure_topics

GROW_EXAMPLE = "Example: tokenmeter down; tokenmeter topics grow 8; tokenmeter up --detach"


def grow(
    partitions: Annotated[int, typer.Argument(help="a multiple of what usage.events has", min=2)],
    settle: Annotated[
        float | None,
        typer.Option(help=f"seconds for producers to hear of it (default: {SETTLE_S:.0f}; 0 for a stack that is down)"),
    ] = None,
    data: DataOption = None,
) -> None:
    """Give usage.events more partitions while no worker runs; run it again when it was interrupted."""
    settings = load(data=data)
    with _kafka(settings) as client:
        settle_s = settle if settle is not None else SETTLE_S if settings.kafka_bootstrap is not None else 0.0
        done = grow_log(client, partitions, settle_s, say)
    ends = ", ".join(f"{number}@{offset}" for number, offset in enumerate(done.first_offsets))
    say(f"usage.events has {partitions} partitions; customers have moved from these offsets on: {ends}")
    say("next: start the workers (tokenmeter up), then tokenmeter audit")


@contextmanager
def _kafka(settings: Settings) -> Iterator[dict[str, Any]]:
    """As set; or that of the data directory, started for this without workers."""
    if settings.kafka_bootstrap is not None:
        client = kafka(settings)
        ensure_topics(client, settings.partitions, settings.replication)
        yield client
        return
    if Stack.load(settings.data).runs:
        raise Misconfigured(f"a stack runs on {settings.data}", hint="tokenmeter down; then the same again")
    stack = LocalStack(settings, say, stores_only=True)
    stack.start()
    try:
        yield stack.kafka.client
    finally:
        stack.stop()
