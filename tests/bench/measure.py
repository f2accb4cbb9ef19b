"""Wall time, CPU time and memory of one process while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.05
RATE_SHARE = 0.8


@dataclass(frozen=True)
class Figures:
    """What one run took. CPU is of the whole run; the rate is taken when RATE_SHARE of the events were committed,
    since the last page of each partition waits for its age before it closes."""

    events: int
    rated_events: int
    rated_seconds: float
    seconds: float
    cpu_seconds: float
    rss_peak_mb: int

    @property
    def events_per_second(self) -> int:
        return round(self.rated_events / self.rated_seconds)

    @property
    def cpu_us_per_event(self) -> float:
        return round(self.cpu_seconds / self.events * 1e6, 2)

    def as_dict(self) -> dict[str, float]:
        return {
            "events": self.events,
            "seconds": round(self.seconds, 2),
            "events_per_second": self.events_per_second,
            "cpu_us_per_event": self.cpu_us_per_event,
            "rss_peak_mb": self.rss_peak_mb,
        }


def measure(pid: int, events: int, begun: Callable[[], bool], done: Callable[[], int], timeout_s: float) -> Figures:
    """Follow process ``pid`` from when ``begun`` answers true until ``done`` says that all ``events`` are."""
    process = psutil.Process(pid)
    deadline = time.monotonic() + timeout_s
    peak = 0

    def cpu() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def wait() -> None:
        nonlocal peak
        if process.status() != psutil.STATUS_ZOMBIE:
            peak = max(peak, process.memory_info().rss)
        if not process.is_running() or time.monotonic() > deadline:
            raise SystemExit(f"process {pid} did not get through {events} events within {timeout_s:.0f} s")
        time.sleep(SAMPLE_S)

    while not begun():
        wait()
    at, cpu_at = time.monotonic(), cpu()
    rated = (0, 0.0)
    while (count := done()) < events:
        if not rated[0] and count >= RATE_SHARE * events:
            rated = (count, time.monotonic() - at)
        wait()
    seconds = time.monotonic() - at
    return Figures(events, *(rated if rated[0] else (events, seconds)), seconds, cpu() - cpu_at, peak >> 20)
