"""What verbs share: where they print, how they say a line, a bar with a total, and the option for the directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from tokenmeter.cli.printable import printable


class _Shown:
    """A renderable whose text can make the terminal do nothing."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, keep="\n"), segment.style)


class _Harmless(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


def make_console(**given: Any) -> Console:
    """Where verbs print. Customers' names and the like are in what they print, so text is only ever text: no brackets
    are read as markup, no :words: as emoji, and what would command the terminal is shown as an escape.
    """
    made = Console(markup=False, emoji=False, **given)
    made.push_render_hook(_Harmless())
    return made


console = make_console()

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]
PortOption = Annotated[int, typer.Option(min=1, max=65_535, help="port of /health and /metrics")]
SlotOption = Annotated[str | None, typer.Option(help="worker slot: a replacement in the same slot takes over at once")]


def say(text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that is told how much is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(printable(what), total=total)
        yield lambda count: progress.update(task, completed=count)
