"""``python -m soak --hours 24``: a day in four minutes; ``--leak`` shows that the judgement would notice.

One simulated hour is HOUR_S seconds. The horizon is one simulated hour, a page 0.3 s, traffic follows the day: least
at four in the morning, most at four in the afternoon. In the first quarter workers are killed at seeded moments, and
once more after the last sample; then everything must have been counted once and be in ClickHouse.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from soak import flat
from soak.chart import svg
from soak.samples import FIGURES, Samples
from support.arena import Arena, arena

HOUR_S = 10.0
PAGE_SECONDS = 0.3
RATE_MEAN, RATE_SWING = 250, 200
QUIETEST_HOUR = 4
SAMPLE_S = 1.0
KILLS = 3
OUT = Path("build/soak")
WORKERS = ("meter", "load")


def rate_at(hour: float) -> int:
    """Events a second at an hour of the simulated day."""
    return round(RATE_MEAN - RATE_SWING * math.cos(2 * math.pi * (hour - QUIETEST_HOUR) / 24))


def live(
    world: Arena, hours: float, seed: int, progress: Progress
) -> tuple[dict[str, Samples], list[tuple[float, str]]]:
    """Let the day pass; returns the samples of each worker and the kills."""
    chance = random.Random(seed)
    kills = sorted((hours * flat.SETTLED_SHARE * chance.random(), chance.choice(WORKERS)) for _ in range(KILLS))
    samples = {kind: Samples() for kind in WORKERS}
    marks: list[tuple[float, str]] = []
    task = progress.add_task("hours", total=hours)
    began = time.monotonic()
    while (hour := (time.monotonic() - began) / HOUR_S) < hours:
        world.traffic.rate = rate_at(hour)
        if kills and hour >= kills[0][0]:
            kind = kills.pop(0)[1]
            world.kept(f"{kind}-1").kill()
            marks.append((hour, f"{kind} killed"))
        world.tick()
        for kind, taken in samples.items():
            taken.take(hour, world.kept(f"{kind}-1"))
        progress.update(task, completed=hour)
        time.sleep(SAMPLE_S)
    return samples, marks


def judge(samples: dict[str, Samples]) -> list[str]:
    """What grew that must not, and what the horizon held beyond its time."""
    found = [problem for kind, taken in samples.items() for problem in flat.problems(kind, taken.series)]
    most = flat.ids_max(RATE_MEAN + RATE_SWING, HOUR_S)
    held = max((value for _, value in samples["meter"].series["ids"]), default=0.0)
    if not 0 < held <= most:
        found.append(f"meter ids: {held:.0f} in the horizon, at most {most:.0f} came within it")
    return found


def report(hours: float, samples: dict[str, Samples], marks: list[tuple[float, str]], found: list[str]) -> None:
    """build/soak/soak.svg, soak.json and soak.md."""
    OUT.mkdir(parents=True, exist_ok=True)
    title = f"{hours:g} simulated hours of {HOUR_S:g} s; dashed: a worker was killed"
    series = {kind: {name: taken.series[name] for name in FIGURES} for kind, taken in samples.items()}
    (OUT / "soak.svg").write_text(svg(title, series, marks))
    (OUT / "soak.json").write_text(json.dumps({"hours": hours, "kills": marks, "problems": found, "series": series}))
    lines = [f"# Soak: {title}", "", "| worker | figure | begins | rises | highest |", "|---|---|---|---|---|"]
    for kind, figures in series.items():
        for name, taken in figures.items():
            begin, rises = flat.rise(flat.settled(taken)) if taken else (0.0, 0.0)
            highest = max((value for _, value in taken), default=0.0)
            lines.append(f"| {kind} | {name} | {begin:,.0f} | {rises:+,.0f} | {highest:,.0f} |")
    verdict = [f"- {problem}" for problem in found] or ["Flat, and every event was counted once."]
    (OUT / "soak.md").write_text("\n".join([*lines, "", *verdict, "", "![samples](soak.svg)", ""]))


def main(
    hours: Annotated[float, typer.Option(help="simulated hours, ten seconds each", min=6, max=48)] = 24,
    seed: Annotated[int, typer.Option(help="of the kills")] = 1,
    leak: Annotated[bool, typer.Option("--leak", help="the control: a meter that leaks must be found out")] = False,
) -> None:
    """Run meter and loader through a day and judge whether they end it as they began it."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.1f}"), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="tokenmeter-soak-") as folder,
        Progress(*columns, console=console) as progress,
        arena(Path(folder), clickhouse=True, rate=rate_at(0)) as world,
    ):
        horizon_ms = round(HOUR_S * 1_000)
        world.keep(
            "meter",
            page_seconds=PAGE_SECONDS,
            horizon_ms=horizon_ms,
            mutant="leak" if leak else None,
            page_events=50_000,
        )
        world.keep("load", page_seconds=PAGE_SECONDS, page_events=50_000)
        samples, marks = live(world, hours, seed, progress)
        for kind in WORKERS:
            world.kept(f"{kind}-1").kill()
        found = judge(samples)
        if not leak:
            found += world.settle().problems()
    report(hours, samples, marks, found)
    for problem in found:
        console.print(problem, highlight=False, soft_wrap=True)
    console.print(f"report in {OUT / 'soak.md'}")
    if leak:
        caught = any(problem.startswith("meter rss_mb") for problem in found)
        console.print("the leak was found" if caught else "the leak was not found")
        raise typer.Exit(0 if caught else 1)
    raise typer.Exit(1 if found else 0)


if __name__ == "__main__":
    typer.run(main)
