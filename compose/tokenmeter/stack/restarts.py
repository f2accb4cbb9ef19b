"""When a part that ended is started again, and what is said of it meanwhile. Pure: whoever asks brings the time.

A part that keeps ending is tried again after ever longer pauses and shown as failed; the others know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RESTART_PAUSE_S = 1.0
RESTART_PAUSE_MAX_S = 30.0
"""What it waited for, a broker or room on the disk, may be back: no part waits longer to find out."""
RESTART_PAUSE_GROWS = 2.0
QUICK_S = 15.0
"""A part that has run for so long is tried again after the shortest pause: longer pauses are for what cannot begin."""
STEADY_S = 60.0
"""A part that has run for so long is as good as new when it ends."""
FAILED_DEATHS = 3
"""A part that ended so often, and was never steady in between, is said to have failed."""

RUNNING, RESTARTING, FAILED = "running", "restarting", "failed"


@dataclass
class _Part:
    started_at: float
    deaths: int = 0
    quick: int = 0
    """How many of the last deaths, in a row, came right after the start."""
    due_at: float | None = None
    """None while it runs."""
    why: str = ""


class Restarts:
    """Times are seconds of one clock that only rises."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}

    def started(self, name: str, now: float) -> None:
        """It was started; whether it stays is seen later."""
        part = self._parts.setdefault(name, _Part(now))
        part.started_at, part.due_at = now, None

    def ended(self, name: str, now: float, why: str) -> float:
        """It ended, or could not be started. Returns the pause before it is tried again."""
        part = self._parts.setdefault(name, _Part(now))
        lived_s = now - part.started_at if part.due_at is None else 0.0
        part.deaths = 0 if lived_s >= STEADY_S else part.deaths
        part.quick = 0 if lived_s >= QUICK_S else part.quick
        pause = min(RESTART_PAUSE_MAX_S, RESTART_PAUSE_S * RESTART_PAUSE_GROWS ** min(part.quick, FAILED_DEATHS * 3))
        part.deaths, part.quick, part.why, part.due_at = part.deaths + 1, part.quick + 1, why, now + pause
        return pause

    def due(self, now: float) -> list[str]:
        """Those whose pause is over."""
        return [name for name, part in self._parts.items() if part.due_at is not None and now >= part.due_at]

    def hurry(self, names: Iterable[str], now: float) -> None:
        """What these were waiting for is back: try them at once, with the shortest pauses again."""
        for name in names:
            part = self._parts.get(name)
            if part is not None and part.due_at is not None:
                part.deaths = part.quick = 0
                part.due_at = min(part.due_at, now + RESTART_PAUSE_S)

    def runs(self, name: str) -> bool:
        """Whether it was started last, and not heard to have ended."""
        part = self._parts.get(name)
        return part is not None and part.due_at is None

    def started_at(self, name: str) -> float:
        """When it was started last."""
        return self._parts[name].started_at

    def state(self, name: str) -> tuple[str, str]:
        """(RUNNING, RESTARTING or FAILED, why)."""
        part = self._parts[name]
        if part.due_at is None:
            return RUNNING, ""
        if part.deaths < FAILED_DEATHS:
            return RESTARTING, part.why
        return (
            FAILED,
            f"{part.deaths} times in a row, tried again every {RESTART_PAUSE_MAX_S:.0f} s at most; {part.why}",
        )
