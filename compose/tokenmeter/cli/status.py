"""The verb ``status``: whether all is well, within two seconds."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tokenmeter.cli.places import home
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, console, say
from tokenmeter.events.access import Access
from tokenmeter.stack.private import where_passwords_are
from tokenmeter.stack.state import Stack
from tokenmeter.stack.status.look import look
from tokenmeter.stack.status.shown import as_dict, is_well, sentences, table

EXAMPLES = "Examples: tokenmeter status · tokenmeter status --watch · tokenmeter status --json"
WATCH_S = 2.0


def status(
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="one document, passwords among it")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="look again every two seconds, until Ctrl-C")] = False,
) -> None:
    """Ask each part how it is: health, lag, restarts, quarantine, alerts, last page. Exit 1 when one is not well.

    A demo that runs is found too, unless --data names another directory.
    """
    settings = load(data=data)
    where, access = home(settings), settings.kafka_access()
    if watch:
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while True:
                live.update(_shown(Stack.load(where), str(where), access)[0], refresh=True)
                time.sleep(WATCH_S)
    stack = Stack.load(where)
    if as_json:
        looks = look(stack, access=access)
        sys.stdout.write(json.dumps(as_dict(stack, looks), indent=2) + "\n")
        well = is_well(stack, looks)
    elif not stack.parts:
        say("nothing has run here yet (next: tokenmeter up)")
        well = True
    else:
        shown, well = _shown(stack, str(where), access)
        console.print(shown)
    if not well and stack.runs:
        raise typer.Exit(1)


def _shown(stack: Stack, where: str, access: Access) -> tuple[Group, bool]:
    looks = look(stack, access=access)
    lines = [Text(text, style="red" if bad else "") for text, bad in sentences(looks)]
    well = is_well(stack, looks)
    if not stack.runs:
        lines.append(Text(f"no stack runs on {where} (next: tokenmeter up --data {where})"))
    else:
        lines.append(
            Text("all is well" if well else "not all is well: see the logs above", style="" if well else "red")
        )
    lines.append(Text(where_passwords_are(Path(where))))
    return Group(table(stack, looks), *lines), well
