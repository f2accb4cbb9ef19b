"""Fault: the meter is killed at each point of a page's life. Invariant: every event is metered exactly once,
and every account owes what the contract's page says, to the last pico-unit.

The mutant commits its offset outside the transaction; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

from support import oracle, owed
from support.broker import eventually
from support.worker_main import Point
from support.workers import WorkerProcess
from support.world import World

PRICED_EVENTS = 600
"""The customers of the first events are in the catalog, every third below a reseller and a distributor."""
POINTS = [
    Point("Produce", "before", 3),
    Point("Produce", "after", 3),
    Point("Commit", "before", 3),
    Point("Commit", "after", 3),
]
DIES_S = 120.0
"""How long it may take on a busy machine; nothing is asserted of it."""


def dead(world: World, worker: WorkerProcess) -> bool:
    """Whether it is, after one more wave."""
    world.waves.wave()
    return not worker.child.is_alive()


def die_at(folder: Path, points: list[Point], mutant: str | None = None) -> list[str]:
    """Let one meter after another die under load, each at a point of its own; the last one finishes. Returns what is
    wrong afterwards."""
    with World.begun(folder) as world:
        owed.publish(world.bootstrap, owed.for_events(oracle.made(0, PRICED_EVENTS)))
        for point in points:
            dying = world.worker("meter", slot="1", point=point, mutant=mutant)
            eventually(f"it dies {point}; {dying.log}", partial(dead, world, dying), DIES_S, every_s=0.3)
            assert dying.child.returncode == -signal.SIGKILL, dying.child.log_tail()
            world.waves.wave()
        world.worker("meter", slot="1", mutant=mutant)
        world.wait_read("meter")
        world.stop()  # not killed: readers would wait for the transaction that the mutant may have open
        return world.check().problems()


def test_a_meter_killed_inside_a_page_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert die_at(tmp_path, POINTS) == []


def test_the_same_check_finds_what_an_offset_outside_the_transaction_loses(tmp_path: Path) -> None:
    found = die_at(tmp_path, [Point("Commit", "before", 1)], "commit_outside")
    assert any(problem.startswith("lost") for problem in found), found
