"""What a worker holds, looked at from outside: memory, threads, files, lag, identities in the horizon."""

from __future__ import annotations

from collections import defaultdict

import httpx
import psutil

from support.workers import WorkerProcess

FIGURES = ("rss_mb", "threads", "files", "lag", "ids")


class Samples:
    """The figures of one kind of worker over its lives: figure to (hour, value)."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def take(self, hour: float, worker: WorkerProcess) -> None:
        """One sample of each figure; none while the worker does not answer."""
        try:
            text = httpx.get(f"http://127.0.0.1:{worker.port}/metrics", timeout=5).text
            process = psutil.Process(worker.child.pid)
            with process.oneshot():
                seen = {
                    "rss_mb": process.memory_info().rss / 2**20,
                    "threads": process.num_threads(),
                    "files": process.num_fds(),
                }
        except (httpx.HTTPError, psutil.Error):
            return
        for name, metric in (("lag", "tokenmeter_lag{"), ("ids", "tokenmeter_dedup_window_entries{")):
            seen[name] = sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(metric))
        for name in FIGURES:
            self.series[name].append((hour, seen[name]))
