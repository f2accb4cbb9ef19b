"""The last run as Prometheus metrics, for the node exporter's textfile collector.

A verb that ends cannot be scraped, and a worker that shows another process's result would show a stale one after it
moves to another machine; a file beside the job's own timer is what Prometheus advises for batch jobs.
"""

from __future__ import annotations

import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from tokenmeter.ops.reconcile.run import Report


def write_textfile(path: Path, report: Report) -> None:
    """Replace ``path`` in one step."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"tokenmeter_reconcile_{name}", text, registry=registry).set(value)

    gauge("last_run_timestamp_seconds", "When reconcile last finished", time.time())
    gauge("pages", "Pages the last run judged", report.pages)
    gauge("wrong_lines", "Lines it found to differ from the raw events", len(report.wrong))
    gauge("wrong_calls", "Signed calls of these lines beyond the truth", report.total("events"))
    gauge("wrong_input_tokens", "Signed input tokens beyond the truth", report.total("input_tokens"))
    gauge("wrong_output_tokens", "Signed output tokens beyond the truth", report.total("output_tokens"))
    gauge("corrections", "CORRECTION events it sent", report.sent)
    gauge("outstanding_lines", "Wrong lines it left", report.outstanding)
    gauge("unprovable_events", "Events so late that a first copy may have left the raw table", report.unprovable)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)
