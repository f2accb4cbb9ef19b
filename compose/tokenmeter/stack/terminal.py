"""What verbs share: where they print, how they say a line, a bar with a total, and the option for the directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console()

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]
PortOption = Annotated[int, typer.Option(min=1, max=65_535, help="port of /health and /metrics")]
SlotOption = Annotated[str | None, typer.Option(help="worker slot: a replacement in the same slot takes over at once")]


def say(text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, markup=False)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that is told how much is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.update(task, completed=count)
