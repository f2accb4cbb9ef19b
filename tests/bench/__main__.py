"""``python -m bench``: preload a topic, meter it, run the plain loop over it, print and keep the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psutil
import typer
from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from bench import latency
from bench.book import publish
from bench.kept import keep
from bench.measure import Figures, measure
from bench.preload import preload
from support.broker import broker
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.groups import METER
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port

RUN_TIMEOUT_S = 900.0
PARTITIONS = 4
LATENCY_S = 30.0


class Progressed:
    """Where a consumer group stands, asked over one connection."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})

    @retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True)
    def offsets(self) -> int:
        """The sum of the committed offsets; a group that has a commit in flight answers late, not wrongly."""
        wanted = [TopicPartition(EVENTS, partition) for partition in range(PARTITIONS)]
        return sum(max(0, found.offset) for found in self._consumer.committed(wanted, 30))


def run_meter(folder: Path, bootstrap: str, events: int) -> Figures:
    """The meter as a user runs it, with its default settings."""
    port = free_port()
    command = [sys.executable, "-m", "tokenmeter.cli.app", "meter", "--port", str(port), "--data", str(folder)]
    log = folder / "meter.log"
    child = Child("meter", command, log, {"TOKENMETER_KAFKA_BOOTSTRAP": bootstrap})
    group = Progressed(bootstrap, METER.id)
    child.start()
    assert child.pid is not None
    try:
        # A partition is owned with its first batch, so that is when the work begins.
        return measure(
            child.pid,
            events,
            lambda: "owned from offset" in log.read_text(),
            group.offsets,
            RUN_TIMEOUT_S,
        )
    finally:
        child.kill()


def run_plain(bootstrap: str, events: int) -> Figures:
    """The plain loop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.plain_loop", bootstrap, str(events)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines: list[str] = [process.stdout.readline()]
    ended = psutil.Process(process.pid)

    def done() -> int:
        # It says nothing before its end, and a finished child keeps its CPU times until it is waited for.
        return events if ended.status() == psutil.STATUS_ZOMBIE else 0

    figures = measure(process.pid, events, lambda: bool(lines), done, RUN_TIMEOUT_S)
    answer = json.loads(process.stdout.read())
    process.wait()
    if answer["events"] != events:
        raise SystemExit(f"the plain loop read {answer['events']} of {events} events")
    return figures


def show(console: Console, rows: dict[str, Figures]) -> None:
    table = Table(title=f"{os.cpu_count()} cores, broker beside it, {next(iter(rows.values())).events:,} events")
    table.add_column("program", no_wrap=True)
    for name in ("events/s", "CPU µs/event", "wall s", "peak MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row.events_per_second:,}",
            f"{row.cpu_us_per_event:.2f}",
            f"{row.seconds:.1f}",
            f"{row.rss_peak_mb}",
        )
    console.print(table)


def main(
    events: Annotated[int, typer.Option(help="events to preload", min=10_000)] = 6_000_000,
    rate: Annotated[int, typer.Option(help="events a second while latency is measured", min=1)] = 20_000,
) -> None:
    """Measure the meter against a plain loop on one preloaded topic, then event to line and to alert under load."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="tokenmeter-bench-") as name, broker(Path(name), PARTITIONS) as kafka:
        folder = Path(name)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("preloading", total=events)
            publish(kafka.bootstrap)
            preload(kafka.bootstrap, events, lambda done: progress.update(task, completed=done))
            progress.add_task("metering", total=None)
            rows = {"meter": run_meter(folder, kafka.bootstrap, events)}
            progress.add_task("plain loop", total=None)
            rows["plain loop"] = run_plain(kafka.bootstrap, events)
    show(console, rows)
    kept = keep("meter", {name.replace(" ", "_"): row.as_dict() for name, row in rows.items()})
    found = latency.measure(rate, LATENCY_S)
    latency.show(console, found)
    keep("latency", {one.topic: asdict(one) for one in found})
    console.print(f"kept in {kept}")


if __name__ == "__main__":
    typer.run(main)
