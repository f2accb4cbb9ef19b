"""The verb ``demo``: runs everything and proves the figures."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenmeter.cli import simulate as cli_simulate
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, bar, console, say
from tokenmeter.cli.up import NoBoardsOption
from tokenmeter.emit.replay.traces import format_of
from tokenmeter.stack.demo import run_demo
from tokenmeter.stack.running import running, show_board, until_interrupted
from tokenmeter.stack.simulate import template
from tokenmeter.stack.simulate.market import MONTHS

EXAMPLES = "Example: tokenmeter demo --once --trace calls.csv"
DEMO_CALLS = 20_000


def demo(
    once: Annotated[bool, typer.Option("--once", help="stop everything afterwards; exit 0 only if all agrees")] = False,
    trace: Annotated[list[Path] | None, typer.Option(help="replay this trace instead of generated calls")] = None,
    calls: Annotated[int, typer.Option(help="generated calls")] = DEMO_CALLS,
    no_boards: NoBoardsOption = False,
    no_history: Annotated[bool, typer.Option("--no-history", help="leave the simulated market out")] = False,
    months: Annotated[int, typer.Option(min=1, max=cli_simulate.MONTHS_MAX, help="of the simulated market")] = MONTHS,
    data: DataOption = None,
) -> None:
    """Run everything, send calls through the SDK twice, and prove that all four places agree.

    The boards also show a simulated market, which no figure of the proof contains.
    """
    boards_wanted = False if no_boards else None
    for one in trace or ():
        format_of(one)  # a wrong path is noticed before anything starts
    settings = load(data=data, boards=boards_wanted)
    if "data" not in settings.model_fields_set:
        # Figures are compared from empty, so each demo has a directory of its own.
        settings = load(data=settings.data / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}", boards=boards_wanted)
    simulated: dict[str, Any] = {}
    if not no_history and not no_boards:
        history = partial(cli_simulate.history, months=months)
        simulated = {"begin": partial(template.begin, months=months), "fill": history}
    with running(settings, **simulated, boards_later=True) as stack:
        holds = run_demo(stack, settings, trace or [], calls, console, bar, hurried=once)
        stack.finish()
        show_board(stack)
        if not once:
            say(f"still running on {settings.data}; Ctrl-C stops everything")
            until_interrupted(stack)
    if once and not holds:
        raise typer.Exit(1)
