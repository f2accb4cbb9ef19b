"""``python -m week --actions 200 --seed 1``: see the package. ``--mutant log``: the control, which must be caught."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from support import stranger
from support.command import processes_of
from support.disk import small_disk
from week.plan import plan
from week.report import tables
from week.run import SETTLE_S, world
from week.stack import UsersStack
from week.verdict import total

VERBS = (("status",), ("audit", "--strict"), ("reconcile", "--full"))
TAIL_LINES = 12
MUTANT_SETTLE_S = 20.0
MUTANT_S = 240.0
"""Time for the control to do what it must not, however busy the machine."""
MUTANT = Path(__file__).parent / "mutant"


def main(
    actions: Annotated[int, typer.Option(help="kills, freezes, restarts and the like", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="of the plan")] = 1,
    only_plan: Annotated[bool, typer.Option("--plan", help="print the plan and do nothing")] = False,
    minutes: Annotated[float, typer.Option(help="begin no round after so long, and judge")] = 120.0,
    only: Annotated[str, typer.Option(help='sorts of action with this text alone, e.g. "kill -9"')] = "",
    mutant: Annotated[
        Literal["repeats", "log"] | None,
        typer.Option(help="the control, which must be caught: workers that know no repeats, or no log from another"),
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="keep the parts' logs in this folder")] = None,
    boards: Annotated[bool, typer.Option("--boards", help="with Superset, which is killed too")] = False,
) -> None:
    """Break everything, all week long, and count."""
    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="tokenmeter-week-") as name:
        folder = Path(name)
        with small_disk(folder / "data") as disk, kept(folder / "data" / "logs", logs):
            rounds = plan(seed, actions, disk, boards, only)
            if only_plan:
                for number, one in enumerate(rounds, 1):
                    say(f"{number}: {'; '.join(map(str, one))}")
                raise typer.Exit
            if not disk:
                say("no disk can be mounted here: none is filled")
            options = [] if boards else ["--no-boards"]
            env = {"TOKENMETER_DISK_FREE_MIN_MB": "64"} | (
                {"PYTHONPATH": str(MUTANT), "WEEK_MUTANT": mutant} if mutant else {}
            )
            stack = UsersStack(folder / "data", *options, env=env)
            began = time.monotonic()
            with world(stack, folder / "spool", boards) as made:
                if mutant:
                    made.hands.strange_s = MUTANT_S
                say(f"seed {seed}: {actions} actions in {len(rounds)} rounds")
                for number, one in enumerate(rounds, 1):
                    at = time.monotonic()
                    if at - began > minutes * 60:
                        say(f"{minutes:g} minutes are over: {number - 1} of {len(rounds)} rounds were done")
                        break
                    made.round(one)
                    now = time.monotonic()
                    what = "; ".join(map(str, one))
                    worked = f"all work after {now - at:.1f} s, load {os.getloadavg()[0]:.0f}"
                    say(f"{now - began:6.0f} s  {number}/{len(rounds)}  {what}: {worked}")
                say("settling ...")
                verdicts = made.settle(MUTANT_SETTLE_S if mutant else SETTLE_S)
                problems = [*total(verdicts).problems(), *made.week.slow(), *made.week.grown()]
                if made.hands.calm_beside_another_log:
                    problems.append("tokenmeter status finds all well although the log is another's")
                console.print(tables(made.week, verdicts))
                for verb in VERBS:
                    try:
                        code, said = stack.run(*verb)
                    except subprocess.TimeoutExpired as late:
                        code, said = 1, str(late)
                    say(f"tokenmeter {' '.join(verb)}: exit {code}")
                    if code:
                        problems.append(f"tokenmeter {' '.join(verb)} exits {code}")
                        say("\n".join(said.splitlines()[-TAIL_LINES:]))
            if stranger.can_try():
                problems += [f"another user reads {path}" for path in stranger.readable(folder / "data")]
            problems += [f"still runs: {line[:120]}" for line in processes_of(folder)]
    events, ahead = len(made.traffic.acknowledged), len(made.traffic.ahead)
    say(
        f"{events:,} events acknowledged, {ahead} of a clock ahead, {made.traffic.unanswered} posts sent again; "
        f"{(time.monotonic() - began) / 60:.1f} minutes, seed {seed}"
    )
    for problem in problems:
        say(problem)
    say("nothing lost, nothing doubled, every part back in time" if not problems else f"{len(problems)} problems")
    if mutant:
        whole = total(verdicts)
        caught = bool(whole.doubled if mutant == "repeats" else whole.strangers)
        say("the mutant was caught" if caught else "the mutant was NOT caught")
        raise typer.Exit(0 if caught else 1)
    raise typer.Exit(1 if problems else 0)


@contextmanager
def kept(logs: Path, into: Path | None) -> Iterator[None]:
    """Copy the logs, also when an error ends the week: then they are what is left of it."""
    try:
        yield
    finally:
        if into is not None and logs.is_dir():
            shutil.copytree(logs, into, dirs_exist_ok=True)


if __name__ == "__main__":
    typer.run(main)
