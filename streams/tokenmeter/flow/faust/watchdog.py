"""Decides when a worker has stalled: there is work, and nothing has committed for too long.

A consumer that stands still with a green light is the complaint most often filed against systems of this kind.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

STALL_SECONDS = 90.0
"""Longer than a restore of the whole horizon takes."""


@dataclass
class Watchdog:
    """Fed with observations; times are monotonic seconds."""

    stall_seconds: float = STALL_SECONDS
    _waiting_since: dict[Hashable, float] = field(default_factory=dict)

    def observe(self, partition: Hashable, lag: int, progressed_at: float, now: float) -> float:
        """Seconds this partition has had work without a commit; 0 when it has none."""
        if lag <= 0:
            self._waiting_since.pop(partition, None)
            return 0.0
        since = max(self._waiting_since.setdefault(partition, now), progressed_at)
        self._waiting_since[partition] = since
        return now - since

    def forget(self, assigned: set[Hashable]) -> None:
        """Drop what is no longer assigned here."""
        for partition in set(self._waiting_since) - assigned:
            del self._waiting_since[partition]
