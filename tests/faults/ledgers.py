"""Faults: ledgers killed at each crash point, and ledgers that join, leave and freeze while the broker is killed.

Invariant: every balance is the sum of its account's entries, and every threshold is told exactly once.
"""

from __future__ import annotations

import random
import time
from itertools import cycle, islice
from pathlib import Path

from faults.fault import Fault
from faults.test_ledger_deaths import POINTS, die
from faults.test_two_ledgers import come_and_go
from support.ledger_waves import ACCOUNTS, PARTITIONS
from support.outcome import Outcome
from support.priced_waves import priced, publish
from support.worker_main import Point
from support.world import World

WAIT_S = 240.0
WAVE_EVENTS = 200
UP_S = (0.5, 3.0)
"""How long all of them run between two kills."""


def deaths(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(die(folder, list(islice(cycle(POINTS), times)))))


def deaths_control(folder: Path, seed: int) -> str:
    return "; ".join(die(folder, [Point("Commit", "before", 3)], "commit_outside")[:2])


def comings(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(come_and_go(folder, times, inside_pages=True)))


def audited(folder: Path, times: int, seed: int, mutant: Point | None = None) -> tuple[int, list[str]]:
    """Meter, ledger or loader is killed ``times`` times under load; returns how many events were sent, and the first
    thing on which the log, pages, lines, ledger.entries, account.state and ClickHouse differ in the end.

    ``mutant``: the first ledger commits its position before its states, and dies there.
    """
    chance = random.Random(seed)
    with World.begun(folder, PARTITIONS, clickhouse=True) as world:
        publish(world.bootstrap, *priced())
        here = {kind: world.worker(kind, slot="1") for kind in ("meter", "load")}
        here["ledger"] = world.worker(
            "ledger", slot="1", **({"mutant": "commit_outside", "point": mutant} if mutant else {})
        )
        for _ in range(times):
            world.waves.wave(WAVE_EVENTS)
            time.sleep(chance.uniform(*UP_S))
            kind = "ledger" if mutant else chance.choice(sorted(here))
            if mutant:
                here[kind].wait_ended(WAIT_S)
            here[kind].kill()
            here[kind] = world.worker(kind, slot="1")
        world.waves.wave(WAVE_EVENTS)
        for kind in ("meter", "ledger", "load"):
            world.wait_read(kind, timeout_s=WAIT_S)
        report = world.audit(settle_ms=0)
        differences = [str(one) for one in report.differences]
        return len(world.waves.sent), differences or ([] if report.accounts else ["no account was compared"])


def random_kills(folder: Path, times: int, seed: int) -> Outcome:
    sent, found = audited(folder, times, seed)
    return Outcome(times, sent, wrong=tuple(found))


def random_kills_control(folder: Path, seed: int) -> str:
    return "; ".join(audited(folder, 1, seed, Point("Commit", "before", 1))[1])


FAULTS = [
    Fault(
        "everything killed at random, audited",
        "kill -9 of meter, ledger and loader on a seeded schedule; case C17",
        "account.state = ledger.entries = charges of the lines = ClickHouse, for every account",
        random_kills,
        "position committed before the state",
        random_kills_control,
    ),
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
