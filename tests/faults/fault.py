"""What a fault declares, and what came of injecting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """``sent`` counts distinct acknowledged events; ``lost`` and ``doubled`` are sizes of id sets, never differences
    of counts; ``wrong`` says whatever else is not as it must be; ``recover_s`` has one entry an injection."""

    injected: int
    sent: int
    lost: int = 0
    doubled: int = 0
    wrong: tuple[str, ...] = ()
    recover_s: tuple[float, ...] = field(default=())

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


@dataclass(frozen=True)
class Fault:
    """``run(folder, times, seed)`` injects it ``times`` times into real processes and judges what is left.

    ``control(folder, seed)`` lets a deliberately wrong twin meet the same fault and the same check, and returns what
    the check found; empty means that the check is blind. ``twin`` says what the twin does wrongly.
    """

    name: str
    breaks: str
    invariant: str
    run: Callable[[Path, int, int], Outcome]
    twin: str
    control: Callable[[Path, int], str]
