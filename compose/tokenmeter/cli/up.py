"""The verbs ``up`` and ``down``: the local stack."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tokenmeter.cli.places import home
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, say
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack import detached
from tokenmeter.stack.processes import is_same, terminate
from tokenmeter.stack.running import running, show_board, until_interrupted
from tokenmeter.stack.state import Stack

EXAMPLES = "Examples: tokenmeter up --detach --no-boards · tokenmeter up --brokers 3 --meters 2 --loaders 2"
DOWN_TIMEOUT_S = 90.0

NoBoardsOption = Annotated[bool, typer.Option("--no-boards", help="leave Superset out")]


def up(
    data: DataOption = None,
    no_boards: NoBoardsOption = False,
    detach: Annotated[bool, typer.Option("--detach", help="come back once everything runs; stop with down")] = False,
    brokers: Annotated[int | None, typer.Option(help="Kafka brokers; with 3 any one may fail (default 1)")] = None,
    meters: Annotated[int | None, typer.Option(help="meters, which share the partitions (default 1)")] = None,
    loaders: Annotated[int | None, typer.Option(help="loaders, which share the partitions (default 1)")] = None,
    ledgers: Annotated[int | None, typer.Option(help="ledgers, which share the partitions (default 1)")] = None,
    watches: Annotated[int | None, typer.Option(help="watches, which share the partitions (default 1)")] = None,
    port_base: Annotated[
        int | None,
        typer.Option(help="serve on this port and those after it (default: free ones, chosen once and kept)"),
    ] = None,
) -> None:
    """Run Kafka, ClickHouse, Superset and the workers here until Ctrl-C."""
    counts = {
        "brokers": brokers,
        "meters": meters,
        "loaders": loaders,
        "ledgers": ledgers,
        "watches": watches,
        "port_base": port_base,
    }
    settings = load(data=data, boards=False if no_boards else None, **counts)
    if detach:
        detached.start(settings, say)
        return
    with running(settings, patient=True) as stack:
        show_board(stack)
        say("running; Ctrl-C stops everything")
        until_interrupted(stack)


def down(data: DataOption = None) -> None:
    """Stop the local stack; harmless when none runs."""
    parent = Stack.load(home(load(data=data))).parts.get("tokenmeter")
    if parent is None or parent.pid is None:
        say("no stack is running")
        return
    if not terminate(parent.pid, parent.born, "tokenmeter"):
        say(f"no stack is running (process {parent.pid} is not the one that was started)")
        return
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while is_same(parent.pid, parent.born):
        if time.monotonic() > deadline:
            raise Misconfigured(f"process {parent.pid} did not stop", hint=f"kill -9 {parent.pid}")
        time.sleep(0.1)
    say("stopped")
