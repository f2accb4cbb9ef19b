"""Faults: workers killed at each crash point and at random, exchanged, and frozen past their session.

Invariant: every event is metered once and stored once; a frozen meter whose partitions went to another dies fenced.
"""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from itertools import cycle, islice, product
from pathlib import Path

from faults.fault import Fault, outcome, said
from support.arena import TOTALS_LOST_S, Arena, arena
from support.outcome import Outcome
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.flow.faust.worker import EXIT_CRASHED

METER_EFFECTS = ("Fence", "ReadPosition", "Restore", "Close", "Begin", "Produce", "SendOffsets", "Commit", "Committed")
LOAD_EFFECTS = ("Fence", "Restore", "Close", "SendOffsets", "Commit", "Committed")
OWNING = ("Fence", "ReadPosition", "Restore")
FREEZES = Point("SendOffsets", "before", 2, "STOP")
"""Between a page's lines and its offset."""
PAGES_BEFORE = 3
"""Pages that commit before a worker dies inside one."""
DEATH_S = 90.0
UP_S = (1.0, 4.0)
"""How long a randomly killed worker may run."""


def points(effects: tuple[str, ...], times: int) -> list[Point]:
    """``times`` crash points: each effect, before and after it, and then from the start again."""
    every = [
        Point(effect, side, 1 if effect in OWNING else PAGES_BEFORE)  # type: ignore[arg-type]
        for effect, side in product(effects, ("before", "after"))
    ]
    return list(islice(cycle(every), times))


def die_at(world: Arena, kind: str, where: list[Point], mutant: str | None = None) -> None:
    """Let one worker after the other die at its point; each is the replacement of the one before."""
    progress = world.meters if kind == "meter" else world.loaders
    died_at: list[tuple[float, int]] = []

    def went_on() -> bool:
        while died_at and progress.offsets() > died_at[0][1]:
            world.recoveries.append(time.monotonic() - died_at.pop(0)[0])
        return not died_at

    def dead(victim: WorkerProcess) -> bool:
        went_on()
        return not victim.child.is_alive()

    for point in where:
        victim = world.worker(kind, slot="crash", point=point, mutant=mutant)
        world.until(f"it dies {point}; {victim.log}", partial(dead, victim), DEATH_S)
        assert victim.child.returncode == -signal.SIGKILL, victim.child.log_tail()
        died_at.append((time.monotonic(), progress.offsets()))
    world.keep(kind, "crash-last", mutant=mutant)
    world.until("the last one goes on", went_on)


def meter_points(folder: Path, times: int, seed: int) -> Outcome:
    with arena(folder) as world:
        die_at(world, "meter", points(METER_EFFECTS, times))
        return outcome(world, times, world.settle())


def meter_points_control(folder: Path, seed: int) -> str:
    """In its first page: after a later one the next meter refuses a position that is not the end of its last page."""
    with arena(folder, partitions=1) as world:  # another page's offset, on its way alone, would hold up the next meter
        die_at(world, "meter", [Point("Commit", "before", 1)], "commit_outside")
        return said(world.settle())


def load_points(folder: Path, times: int, seed: int) -> Outcome:
    with arena(folder, clickhouse=True) as world:
        world.keep("meter")
        die_at(world, "load", points(LOAD_EFFECTS, times))
        return outcome(world, times, world.settle())


def load_points_control(folder: Path, seed: int) -> str:
    with arena(folder, clickhouse=True) as world:
        world.keep("meter")
        die_at(world, "load", [Point("Committed", "before", 4)], "ack_first")
        return said(world.settle(TOTALS_LOST_S))


def kill_randomly(world: Arena, slots: list[str], times: int, chance: random.Random) -> None:
    """``kill -9`` whichever worker the seed names, after as long as it says."""
    for _ in range(times):
        time.sleep(chance.uniform(*UP_S))
        victim = world.kept(chance.choice(slots))
        victim.kill()
        world.recover(world.loaders if victim.name.startswith("load") else world.meters)


def random_kills(folder: Path, times: int, seed: int) -> Outcome:
    with arena(folder, clickhouse=True) as world:
        for kind, slot in (("meter", "1"), ("meter", "2"), ("load", "1")):
            world.keep(kind, slot)
        world.recover(world.loaders)
        world.recoveries.clear()
        kill_randomly(world, ["meter-1", "meter-2", "load-1"], times, random.Random(seed))
        return outcome(world, times, world.settle())


def exchanged(folder: Path, times: int, seed: int) -> Outcome:
    """Meters join, leave cleanly and are killed under load, without static membership."""
    chance = random.Random(seed)
    with arena(folder) as world:
        here = [world.worker("meter")]
        world.recover(world.meters)
        world.recoveries.clear()
        for number in range(times):
            here.append(world.worker("meter"))
            leaving = here.pop(chance.randrange(len(here) - 1))
            if number % 2:
                leaving.child.signal(signal.SIGTERM)
                leaving.wait_ended()
            else:
                leaving.kill()
            world.recover(world.meters)
        return outcome(world, times, world.settle())


def frozen(folder: Path, times: int, seed: int) -> Outcome:
    """Freeze a meter inside a page until another has its partitions, then let it go on."""
    with arena(folder) as world:
        alive: list[WorkerProcess] = []
        for number in range(times):
            zombie = world.worker("meter", slot=f"zombie-{number}", point=FREEZES)
            if alive:
                alive.pop().child.stop()
            world.until(f"it is frozen; {zombie.log}", zombie.is_stopped)
            stopped_at = time.monotonic()
            alive.append(world.worker("meter", slot=f"other-{number}"))
            world.recover(world.meters, stopped_at)
            zombie.resume()
            assert zombie.wait_ended() == EXIT_CRASHED, zombie.log
            assert "Fenced" in zombie.log.read_text()
        return outcome(world, times, world.settle())


def frozen_control(folder: Path, seed: int) -> str:
    """Nobody fences the zombie, so it commits what the other has metered meanwhile. Its open transaction hides the
    other's lines and position until then: what the other says of itself is asked. There is one partition: another page,
    frozen between its offset and its commit, would hold up the other."""
    with arena(folder, partitions=1) as world:
        zombie = world.worker("meter", slot="zombie", point=FREEZES, mutant="no_fence")
        world.until(f"it is frozen; {zombie.log}", zombie.is_stopped)
        world.traffic.stop()
        other = world.worker("meter", slot="other", mutant="no_fence")

        def is_done() -> bool:
            held = (other.health() or {"partitions": []})["partitions"]
            return len(held) == 1 and held[0]["committed"] > 0 and not held[0]["lag"]

        world.until(f"the other has metered all; {other.log}", is_done)
        zombie.resume()
        world.waves.sent, world.waves.repeated = world.traffic.sent, world.traffic.repeated
        doubled: list[str] = []

        def doubles() -> bool:
            doubled[:] = [problem for problem in world.metered().problems() if problem.startswith("doubled")]
            return bool(doubled)

        world.until(f"it doubles; {zombie.log}", doubles)
        return doubled[0]


FAULTS = [
    Fault(
        "meter killed at crash points",
        "kill -9 of the meter before and after each of its effects",
        "every event is metered once",
        meter_points,
        "offset outside the transaction",
        meter_points_control,
    ),
    Fault(
        "loader killed at crash points",
        "kill -9 of the loader before and after each of its effects",
        "every event is stored once",
        load_points,
        "position before the insert",
        load_points_control,
    ),
    Fault(
        "workers killed at random",
        "kill -9 of two meters and a loader on a seeded schedule",
        "every event is metered and stored once",
        random_kills,
        "offset outside the transaction",
        meter_points_control,
    ),
    Fault(
        "meters join, leave, are killed",
        "meters without static membership come and go under load",
        "every event is metered once",
        exchanged,
        "no fence",
        frozen_control,
    ),
    Fault(
        "meter frozen past its session",
        "SIGSTOP inside a page until another meter has the partitions, then SIGCONT",
        "the zombie dies fenced and changes nothing",
        frozen,
        "no fence",
        frozen_control,
    ),
]
