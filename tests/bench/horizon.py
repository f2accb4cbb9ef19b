"""``python -m bench.horizon``: memory with a full dedup horizon, and the time from kill -9 to the first new page.

One meter with its default settings (pages of five seconds included) meters distinct events of four partitions, is
killed, and is started again while new events wait: from its journal, from the log alone, and with nothing to remember.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.__main__ import PARTITIONS, Progressed
from bench.kept import keep
from bench.preload import preload
from support.broker import broker
from tokenmeter.events.groups import METER
from tokenmeter.flow.meter.app import JOURNAL_FOLDER
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port

TIMEOUT_S = 900.0
SAMPLE_S = 0.05
SETTLE_S = 15.0
"""After the last page; what is then still held is called steady."""
NEW_EVENTS = 4_000


@dataclass(frozen=True)
class Restarts:
    """Seconds from kill -9 to the first page committed after it; ``ids`` as the meter itself counts them at the end."""

    ids: int
    rss_steady_mb: int
    rss_peak_mb: int
    seconds: list[float]
    cpu_us_per_event: float = 0.0

    def row(self) -> list[str]:
        p50, worst = (f"{statistics.median(self.seconds):.1f}", f"{max(self.seconds):.1f}") if self.seconds else "--"
        return [f"{self.ids:,}", str(self.rss_steady_mb), str(self.rss_peak_mb), p50, worst]


class Metered:
    """A meter on ``bootstrap`` that is killed and started again; its memory is looked at all the while."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder, self._bootstrap = folder, bootstrap
        self._group = Progressed(bootstrap, METER.id)
        self._port = free_port()
        command = [sys.executable, "-m", "tokenmeter.cli.app", "meter", "--slot", "1", "--port", str(self._port)]
        env = {"TOKENMETER_KAFKA_BOOTSTRAP": bootstrap}
        self.child = Child("meter", [*command, "--data", str(folder)], folder / "meter.log", env)
        self.peak = 0

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.child.pid)

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not done():
            if not self.child.is_alive() or time.monotonic() > deadline:
                raise SystemExit(f"the meter did not get through: {self.child.log_tail()}")
            self.peak = max(self.peak, self.process.memory_info().rss)
            time.sleep(SAMPLE_S)

    def ids(self) -> int:
        """What it says it remembers."""
        lines = httpx.get(f"http://127.0.0.1:{self._port}/metrics", timeout=30).text.splitlines()
        return round(
            sum(float(line.split()[1]) for line in lines if line.startswith("tokenmeter_dedup_window_entries{"))
        )

    def fill(self, events: int) -> float:
        """Meter the topic; returns the CPU time of an event in microseconds."""
        self.child.start()
        self.wait(lambda: self._group.offsets() >= events)
        times = self.process.cpu_times()
        return (times.user + times.system) / max(1, events) * 1e6

    def settle(self) -> None:
        until = time.monotonic() + SETTLE_S
        self.wait(lambda: time.monotonic() > until)

    def restart(self, seed: int, journal: bool) -> float:
        """Kill it, let new events come, start it; seconds from the kill to the first page it commits."""
        before = self._group.offsets()
        killed_at = time.monotonic()
        self.child.kill()
        if not journal:
            shutil.rmtree(self.folder / "meter" / JOURNAL_FOLDER, ignore_errors=True)
        self.child.start()
        preload(self._bootstrap, NEW_EVENTS, lambda done: None, seed)
        self.wait(lambda: self._group.offsets() > before)
        seconds = time.monotonic() - killed_at
        self.wait(lambda: self._group.offsets() >= before + NEW_EVENTS)
        return seconds

    def figures(self, seconds: list[float], cpu_us: float = 0.0) -> Restarts:
        self.settle()
        rss = self.process.memory_info().rss
        return Restarts(self.ids(), rss >> 20, self.peak >> 20, seconds, round(cpu_us, 2))


def bench(folder: Path, events: int, restarts: int, progress: Progress) -> dict[str, Restarts]:
    """Fill a horizon with ``events``, then restart over it both ways."""
    rows: dict[str, Restarts] = {}
    task = progress.add_task("preloading", total=events)
    with broker(folder, PARTITIONS) as kafka:
        preload(kafka.bootstrap, max(events, 1), lambda done: progress.update(task, completed=done))
        meter = Metered(folder, kafka.bootstrap)
        try:
            progress.add_task("metering", total=None)
            cpu_us = meter.fill(events)
            rows["first run"] = meter.figures([], cpu_us)
            for name, journal in (("restart, journal", True), ("restart, log alone", False)):
                task = progress.add_task(name, total=restarts)
                meter.peak, seconds = 0, []
                for number in range(restarts):
                    seconds.append(meter.restart(1_000 + number + restarts * journal, journal))
                    progress.update(task, advance=1)
                rows[name] = meter.figures(seconds)
        finally:
            meter.child.kill()
    return rows


def show(console: Console, ids: int, rows: dict[str, Restarts]) -> None:
    table = Table(title=f"{ids:,} ids, {PARTITIONS} partitions, pages of 5 s")
    table.add_column("meter", no_wrap=True)
    for name in ("ids", "steady MB", "peak MB", "restart p50 s", "worst s"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *row.row())
    console.print(table)


def main(
    ids: Annotated[int, typer.Option(help="distinct events to remember", min=10_000)] = 10_000_000,
    restarts: Annotated[int, typer.Option(help="times to kill it, each way", min=1)] = 5,
) -> None:
    """Measure memory and restart time with a full horizon, and with an all but empty one."""
    console = Console()
    kept: dict[str, dict[str, object]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    for name, events in (("empty", PARTITIONS * 100), ("full", ids)):
        progress = Progress(*columns, console=console)
        with tempfile.TemporaryDirectory(prefix="tokenmeter-bench-") as folder, progress:
            rows = bench(Path(folder), events, restarts, progress)
        show(console, events, rows)
        kept[name] = {kind.replace(", ", "_").replace(" ", "_"): asdict(row) for kind, row in rows.items()}
    console.print(f"kept in {keep('horizon', kept)}")


if __name__ == "__main__":
    typer.run(main)
