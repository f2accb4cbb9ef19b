"""The verb ``status``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.events.contract import EVENTS
from tokenmeter.flow import ledger_app, load_app, meter_app, watch_app
from tokenmeter.flow.losses import lost_offsets
from tokenmeter.stack.settings import load
from tokenmeter.stack.state import Stack
from tokenmeter.stack.terminal import DataOption, console, say

EXAMPLES = "Example: tokenmeter status --json"


def status(data: DataOption = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show each part: state, pid, URL, log (passwords only with --json)."""
    parts = Stack.load(load(data=data).data)
    _note_losses(parts)
    if as_json:
        sys.stdout.write(json.dumps(parts.as_dict(), indent=2) + "\n")
        return
    if not parts.parts:
        say("nothing has run here yet (next: tokenmeter up)")
        return
    table = Table("part", "state", "pid", "url and log", box=SIMPLE_HEAD)
    for name, one in parts.parts.items():
        where = "\n".join(filter(None, (one.url, one.log)))
        table.add_row(name, one.state, str(one.pid or ""), Text(where, overflow="fold"))
    console.print(table)
    for name, one in parts.parts.items():
        if one.lost_offsets:
            lost = f"{name} has lost {one.lost_offsets} offsets: retention removed them before they were read"
            console.print(lost, style="red", highlight=False, soft_wrap=True)


def _note_losses(stack: Stack) -> None:
    """Ask Kafka, if it is there, what each worker's group has lost."""
    kafka = stack.parts.get("kafka")
    if kafka is None or kafka.url is None or kafka.state == "stopped":
        return
    client = {"bootstrap.servers": kafka.url}
    groups = {
        "meter": (meter_app.APP_ID, (EVENTS,)),
        "load": (load_app.APP_ID, load_app.TOPICS),
        "ledger": (ledger_app.APP_ID, ledger_app.TOPICS),
        "watch": (watch_app.APP_ID, watch_app.TOPICS),
    }
    for name, (group, topics) in groups.items():
        if name in stack.parts:
            stack.parts[name].lost_offsets = sum(lost_offsets(client, group, topics).values())
