"""``make faults``: inject every fault, let every mutant be caught, print and keep the table.

python -m faults --times 2 --seed 7 --only clickhouse
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from faults.every import FAULTS
from faults.fault import Fault
from faults.judging import judged_by_name
from support.outcome import Outcome
from tokenmeter.stack.children import die_with_parent

OUT = Path("build/faults.json")
TIMES = 20
Row = tuple[Fault, Outcome, str]


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
    pool = ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn"), die_with_parent)
    try:
        asked = {
            pool.submit(judged_by_name, fault.name, times, seed): fault
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
