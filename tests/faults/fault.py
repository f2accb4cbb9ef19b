"""What a fault declares, and what came of injecting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.arena import Arena
from support.oracle import Verdict
from support.outcome import Outcome


def outcome(world: Arena, injected: int, verdict: Verdict) -> Outcome:
    """The verdict on an arena's traffic as an outcome."""
    wrong = list(verdict.wrong)
    if verdict.strangers:
        wrong.append(f"never sent: {len(verdict.strangers)}, e.g. {min(verdict.strangers)}")
    if world.traffic.failed:
        wrong.append(f"not acknowledged: {len(world.traffic.failed)}, {world.traffic.failed[0]}")
    sent, lost, doubled = len(world.traffic.sent), len(verdict.lost), len(verdict.doubled)
    return Outcome(injected, sent, lost, doubled, tuple(wrong), tuple(world.recoveries))


def said(verdict: Verdict) -> str:
    """What a control's check found, in a line."""
    return "; ".join(verdict.problems()[:2])


@dataclass(frozen=True)
class Fault:
    """``run(folder, times, seed)`` injects it ``times`` times into real processes and judges what is left.

    ``control(folder, seed)`` lets a mutant meet the same fault and the same check, and returns what
    the check found; empty means that the check is blind. ``mutant`` says what the mutant does wrongly.
    """

    name: str
    breaks: str
    invariant: str
    run: Callable[[Path, int, int], Outcome]
    mutant: str
    control: Callable[[Path, int], str]
