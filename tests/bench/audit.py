"""``python -m bench.audit``: preload a topic, meter it by the bench's book of prices, audit what the meter made.

The audit runs as a user runs it, over the topics alone; its figures count the processes it starts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from bench.__main__ import PARTITIONS, run_meter, show
from bench.book import publish
from bench.kept import OUT, keep
from bench.measure import SAMPLE_S, Figures
from bench.preload import preload
from support.broker import broker

AUDIT_TIMEOUT_S = 900.0


def run_audit(folder: Path, bootstrap: str, events: int) -> Figures:
    """``tokenmeter audit --no-clickhouse``; memory is the sum over its processes."""
    out = folder / "audit.json"
    command = [sys.executable, "-m", "tokenmeter.cli.app", "audit", "--no-clickhouse", "--json", "--out", str(out)]
    environment = {"TOKENMETER_KAFKA_BOOTSTRAP": bootstrap, "PATH": ""}
    began = time.monotonic()
    process = psutil.Popen([*command, "--data", str(folder)], env=environment)
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(SAMPLE_S):
            peak = max(peak, _memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = psutil.Process().cpu_times()
    code = process.wait(AUDIT_TIMEOUT_S)
    ended.set()
    watcher.join()
    seconds = time.monotonic() - began
    after = psutil.Process().cpu_times()
    # A child's CPU time, and that of its own children, is counted once it has been waited for.
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    report = json.loads(out.read_text())
    if code or not report["ok"] or report["events_in"] != events:
        raise SystemExit(f"the audit of {events} events ended with {code}: {report}")
    return Figures(events, events, seconds, seconds, cpu, peak >> 20)


def _memory(process: psutil.Process) -> int:
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def main(events: Annotated[int, typer.Option(help="events to preload", min=10_000)] = 6_000_000) -> None:
    """Measure the audit beside the meter on one preloaded topic."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="tokenmeter-bench-") as name, broker(Path(name), PARTITIONS) as kafka:
        folder = Path(name)
        publish(kafka.bootstrap)
        preload(kafka.bootstrap, events, lambda done: None)
        console.print("preloaded")
        rows = {"meter": run_meter(folder, kafka.bootstrap, events)}
        console.print("metered")
        rows["audit"] = run_audit(folder, kafka.bootstrap, events)
    show(console, rows)
    keep("audit", {name: row.as_dict() for name, row in rows.items()})
    console.print(f"kept in {OUT}")


if __name__ == "__main__":
    typer.run(main)
