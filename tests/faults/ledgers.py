"""Faults: ledgers killed at each crash point, and ledgers that join, leave and freeze while the broker is killed.

Invariant: every balance is the sum of its account's entries, and every threshold is told exactly once.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

from faults.fault import Fault, Outcome
from faults.test_ledger_deaths import POINTS, die
from faults.test_two_ledgers import come_and_go
from support.ledger_waves import ACCOUNTS
from support.worker_main import Point


def deaths(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(die(folder, list(islice(cycle(POINTS), times)))))


def deaths_control(folder: Path, seed: int) -> str:
    return "; ".join(die(folder, [Point("Commit", "before", 3)], "commit_outside")[:2])


def comings(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(come_and_go(folder, times, inside_pages=True)))


FAULTS = [
    Fault(
        "ledger killed at crash points",
        "kill -9 of the ledger before and after it produces and commits",
        "every balance is exact, every threshold is told once",
        deaths,
        "position committed before the state",
        deaths_control,
    ),
    Fault(
        "ledgers come, go and freeze",
        "ledgers join and leave, one is frozen past its session, the broker is killed inside a page",
        "every balance is exact, every threshold is told once, the frozen one dies fenced",
        comings,
        "position committed before the state",
        deaths_control,
    ),
]
