"""Fault: the ledger is killed at each point of a page's life, while entries come in, some of them twice. Invariant:
every balance is the sum of its account's entries, and every threshold is told exactly once.

The mutant commits its position before it writes state and alerts; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.broker import eventually
from support.ledger_waves import GRANTED, PARTITIONS, Entries
from support.worker_main import Point
from support.world import World

WAVES_MAX = 12
POINTS = [
    Point("Produce", "before", 3),
    Point("Produce", "after", 3),
    Point("Commit", "before", 3),
    Point("Commit", "after", 3),
]


def die(folder: Path, points: Sequence[Point], mutant: str | None = None) -> list[str]:
    """Let one ledger after the other die at its point, a last one finish; returns what is wrong afterwards."""
    with World.begun(folder, PARTITIONS) as world:
        entries = Entries(world.bootstrap)
        for point in points:
            dying = world.worker("ledger", slot="1", point=point, mutant=mutant)
            for _ in range(WAVES_MAX):
                if not dying.child.is_alive():
                    break
                entries.wave()
                eventually(f"it books or dies; {dying.log}", lambda d=dying: not d.child.is_alive() or entries.booked())
            assert dying.wait_ended() == -signal.SIGKILL, dying.child.log_tail()
        entries.wave(int(GRANTED))
        last = world.worker("ledger", slot="1")
        eventually(f"all is booked; {last.log}", entries.booked)
        last.kill()
        return entries.problems()


def test_a_ledger_killed_inside_a_page_tells_each_threshold_once_and_keeps_each_balance(tmp_path: Path) -> None:
    assert die(tmp_path, POINTS) == []


@pytest.mark.long
def test_the_same_check_finds_what_a_position_committed_before_the_state_loses(tmp_path: Path) -> None:
    found = die(tmp_path, [Point("Commit", "before", 3)], "commit_outside")
    assert any(problem.startswith("balance") for problem in found), found
