"""``make faults``: inject every fault, let every mutant be caught, print and keep the table.

python -m faults --times 2 --seed 7 --only clickhouse
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faults.every import FAULTS
from faults.fault import Fault
from support.outcome import Outcome

OUT = Path("build/faults.json")
TIMES = 20
HARNESS_TRIES = 2
Row = tuple[Fault, Outcome, str]


def measured(work: Callable[[Path], object], name: str) -> object:
    """Do it in a folder of its own; a failed expectation is a result, not the end.

    Where the harness itself gives up (a time-out of a client it asks with, say), it is tried again, and then told as a
    finding of its own.
    """
    for tried in range(1, HARNESS_TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="tokenmeter-faults-") as folder:
            try:
                return work(Path(folder))
            except AssertionError as error:
                return f"{name}: {error}"
            except Exception as error:
                gave_up = f"{name}: the harness gave up, {tried} times: {type(error).__name__}: {error}"
    return gave_up


def judged(fault: Fault, times: int, seed: int) -> tuple[Outcome, str]:
    """What came of the fault, and what its control found, which must have been looked at to count as caught."""
    found = measured(lambda folder: fault.run(folder, times, seed), fault.name)
    outcome = found if isinstance(found, Outcome) else Outcome(0, 0, wrong=(str(found),))
    control = f"control of {fault.name}"
    caught = str(measured(lambda folder: fault.control(folder, seed), control))
    if caught.startswith(control):
        return replace(outcome, wrong=(*outcome.wrong, caught)), ""
    return outcome, caught


def judged_here(name: str, times: int, seed: int) -> tuple[Outcome, str, float]:
    """The fault of that name, in a process of the pool, and how many seconds it took."""
    at = time.monotonic()
    (fault,) = (one for one in FAULTS if one.name == name)
    return *judged(fault, times, seed), time.monotonic() - at


def table(rows: list[Row], at_once: int) -> Table:
    made = Table(title=f"{os.cpu_count()} cores, {at_once} faults at once, {datetime.now(UTC):%Y-%m-%d}")
    for name in ("fault", "injected", "sent", "lost", "doubled", "recovery p50", "worst", "control"):
        made.add_column(name, justify="left" if name in ("fault", "control") else "right")
    for fault, outcome, caught in rows:
        figures = (outcome.injected, outcome.sent, outcome.lost, outcome.doubled)
        times = outcome.recover_s
        seconds = [f"{statistics.median(times):.1f} s", f"{max(times):.1f} s"] if times else ["", ""]
        verdict = f"caught: {fault.mutant}" if caught else f"NOT CAUGHT: {fault.mutant}"
        made.add_row(fault.name, *(f"{figure:,}" for figure in figures), *seconds, verdict)
    return made


def keep(rows: list[Row], times: int, seed: int, seconds: float) -> None:
    """Figures and findings in build/faults.json."""
    OUT.parent.mkdir(exist_ok=True)
    faults = {
        fault.name: {**asdict(outcome), "breaks": fault.breaks, "invariant": fault.invariant, "mutant": fault.mutant}
        | {"control_found": caught}
        for fault, outcome, caught in rows
    }
    head = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version()}
    OUT.write_text(json.dumps({**head, "times": times, "seed": seed, "seconds": round(seconds), "faults": faults}))


def main(
    times: Annotated[int, typer.Option(help="how often each fault is injected", min=1)] = TIMES,
    seed: Annotated[int, typer.Option(help="what chance is drawn from")] = 1,
    only: Annotated[str, typer.Option(help="faults whose name contains this")] = "",
    at_once: Annotated[int, typer.Option(help="how many faults side by side: each is mostly waiting", min=1)] = 2,
) -> None:
    """Break the system in every way listed; exit 0 only if nothing was lost or doubled and every control is caught."""
    console = Console(width=160)
    rows: list[Row] = []
    began = time.monotonic()
    # A process of its own for each, since whatever a fault starts dies with the thread that started it.
    pool = ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn"))
    try:
        asked = {
            pool.submit(judged_here, fault.name, times, seed): fault
            for fault in FAULTS
            if only.lower() in fault.name.lower()
        }
        for done in as_completed(asked):
            fault = asked[done]
            outcome, caught, took_s = done.result()
            rows.append((fault, outcome, caught))
            console.print(f"{took_s:5.0f} s  {fault.name}: {outcome.injected} times", highlight=False)
            for line in outcome.wrong:
                console.print(f"         WRONG {line}", style="red", markup=False)
            console.print(f"         control found: {caught or 'NOTHING'}", highlight=False, markup=False)
    finally:  # also what ran before somebody lost patience
        pool.shutdown(wait=False, cancel_futures=True)
        rows.sort(key=lambda row: FAULTS.index(row[0]))
        keep(rows, times, seed, time.monotonic() - began)
        console.print(table(rows, at_once))
    injected = sum(outcome.injected for _, outcome, _ in rows)
    lost = sum(outcome.lost for _, outcome, _ in rows)
    doubled = sum(outcome.doubled for _, outcome, _ in rows)
    controls = sum(bool(found) for _, _, found in rows)
    console.print(
        f"faults: {injected} injected, {lost} lost, {doubled} doubled, {controls} of {len(rows)} controls caught",
        highlight=False,
    )
    if controls < len(rows) or not all(outcome.holds and outcome.injected for _, outcome, _ in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
