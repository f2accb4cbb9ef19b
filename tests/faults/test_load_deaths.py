"""Fault: the loader is killed between its insert and its commit. Invariant: every event is in ClickHouse once,
and totals = recount.

The mutant acknowledges a page before it inserts it; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from support.broker import eventually
from support.worker_main import Point
from support.workers import WorkerProcess
from support.world import World

TIMEOUT_S = 180.0
TOTALS_S, TOTALS_LOST_S = 400.0, 20.0
"""Totals may come this long after their lines; what a mutant lost never comes."""


def dead(world: World, worker: WorkerProcess) -> bool:
    """Whether it is, after one more wave."""
    world.waves.wave()
    return not worker.child.is_alive()


def die_at(folder: Path, points: list[Point], mutant: str | None = None) -> list[str]:
    """Let one loader after another die under load, each at a point of its own; the last one finishes. Returns what is
    wrong afterwards."""
    with World.begun(folder, clickhouse=True) as world:
        world.worker("meter", slot="1")
        for point in points:
            dying = world.worker("load", slot="1", point=point, mutant=mutant)
            eventually(f"it dies {point}; {dying.log}", partial(dead, world, dying), TIMEOUT_S, every_s=0.3)
            assert dying.child.returncode == -signal.SIGKILL, dying.child.log_tail()
            world.waves.wave()
        world.worker("load", slot="1", mutant=mutant)
        for kind in ("meter", "load"):
            world.wait_read(kind)
        assert world.metered().problems() == []
        return world.stored(TOTALS_LOST_S if mutant else TOTALS_S).problems()


POINTS = [Point("Close", "after", 4), Point("Commit", "before", 4), Point("Committed", "before", 4)]


def test_a_loader_killed_between_insert_and_commit_stores_everything_once(tmp_path: Path) -> None:
    assert die_at(tmp_path, POINTS) == []


@pytest.mark.long
def test_the_same_check_finds_what_a_commit_before_the_insert_loses(tmp_path: Path) -> None:
    found = die_at(tmp_path, [Point("Committed", "before", 4)], "ack_first")
    assert found
