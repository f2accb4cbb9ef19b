"""Fault: meters join, leave, are killed, or are frozen past their session and continued.

Invariant: every event is metered exactly once, and a frozen meter whose partitions went to another dies fenced.
The mutant owns its partitions without a fence; the same check must find what its zombie doubles.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.broker import eventually, lag
from support.worker_main import Point
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.groups import METER
from tokenmeter.flow.faust.worker import EXIT_CRASHED

PARTITIONS = {0, 1}
FINISHES_S = 180.0
"""How long it may take on a busy machine; nothing is asserted of it."""


@pytest.mark.long
def test_meters_that_join_leave_and_are_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    with World.begun(tmp_path) as world:
        load = world.waves
        one = world.worker("meter")
        load.wave()
        eventually("the first meter owns everything", lambda: one.owned() == PARTITIONS)
        two = world.worker("meter")

        def both_work() -> bool:
            load.wave()  # a partition is taken with its first batch
            return len(one.owned()) == 1 and len(two.owned()) == 1

        eventually("both meters work", both_work, FINISHES_S, 0.5)
        load.wave()
        one.child.signal(signal.SIGTERM)
        load.wave()
        one.wait_ended()

        def other_works_alone() -> bool:
            load.wave()
            return two.owned() == PARTITIONS

        eventually("the other meter has taken over", other_works_alone, FINISHES_S, 0.5)
        world.worker("meter")
        load.wave()
        two.kill()
        load.wave()
        world.wait_read("meter")
        assert world.check().problems() == []


def freeze_and_continue(folder: Path, mutant: str | None) -> tuple[list[str], WorkerProcess]:
    """Freeze a meter between its lines and its offset until another has done its work, then let it go on.

    The mutant has one partition: another page, frozen between its offset and its commit, would hold up whoever asks for
    the group's position, and nobody fences it.
    """
    with World.begun(folder, partitions=len(PARTITIONS) if mutant is None else 1) as world:
        point = Point("SendOffsets", "before", 2, "STOP")
        zombie = world.worker("meter", slot="1", point=point, mutant=mutant)
        eventually("the zombie is frozen", lambda: world.waves.wave() and zombie.is_stopped(), every_s=0.3)
        world.worker("meter", slot="2", mutant=mutant)
        eventually("the other meter finishes", lambda: lag(world.bootstrap, METER.id, EVENTS) == 0, FINISHES_S)
        zombie.resume()
        if mutant is None:
            assert zombie.wait_ended() == EXIT_CRASHED
            world.wait_read("meter")
            return world.check().problems(), zombie
        # It may die later, within another transaction that nobody ends: what it doubled by then is there to see.
        return eventually("it doubles", lambda: doubled(world.check().problems()), FINISHES_S, 1.0), zombie


def doubled(problems: list[str]) -> list[str]:
    return [problem for problem in problems if problem.startswith("doubled")]


def test_a_meter_frozen_past_its_session_dies_fenced_and_changes_nothing(tmp_path: Path) -> None:
    found, zombie = freeze_and_continue(tmp_path, None)
    assert found == []
    assert "Fenced" in zombie.log.read_text()


def test_the_same_check_finds_what_a_zombie_doubles_when_nothing_fences_it(tmp_path: Path) -> None:
    found, _ = freeze_and_continue(tmp_path, "no_fence")
    assert found
