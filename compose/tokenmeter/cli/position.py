"""The verb ``position``: where the meter goes on, put back from the pages when its consumer group was lost."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, say
from tokenmeter.ops.position import restore, wrong_positions

app = typer.Typer(no_args_is_help=True, help="Put the meter's position back where its pages end.")


@app.callback()
def position() -> None:
    """Keep ``restore`` a verb of its own."""


@app.command(name="restore", epilog="Example: tokenmeter position restore --apply")
def restore_(
    apply: Annotated[bool, typer.Option("--apply", help="write them; without it only say what is wrong")] = False,
    data: DataOption = None,
) -> None:
    """Put the meter's position of each partition to the end of its last page; a meter that runs starts again there."""
    client = kafka(load(data=data), "workers")
    found = restore(client) if apply else wrong_positions(client)
    for one in found:
        to = "is now" if apply else "must be"
        say(f"usage.events/{one.partition}: the position was {one.was} and {to} {one.is_}, where its last page ends")
    if not found:
        say("every position is where its last page ends")
    elif apply:
        say(f"{len(found)} positions restored; the meter goes on by itself (next: tokenmeter audit)")
    else:
        say("next: tokenmeter position restore --apply")
