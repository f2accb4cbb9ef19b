"""Faults: ClickHouse killed, frozen, slow, away for long, full, and an insert whose answer is lost.

Invariant: what Kafka acknowledged is stored once; Kafka holds the backlog meanwhile. Mutants: a loader that commits
before it inserts, and one that inserts each try under another page.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from faults.fault import Fault, outcome, said
from support.arena import TOTALS_LOST_S, TOTALS_S, Arena, arena
from support.broker import eventually
from support.disk import fill, free, small_disk
from support.outcome import Outcome

FROZEN_S = 4.0
SLOW_S = 4.0
POLL_INTERVAL_S = 6.0
"""A consumer that does not poll for this long loses its partitions."""
AWAY_S = 9.0
FULL_S = 3.0
MUTANT_TIMES = 2
STORED_ONCE = "every event is stored once"

Break = Callable[[Arena, random.Random], None]


def pid(world: Arena) -> int:
    assert world.server.child.pid is not None
    return world.server.child.pid


def lose_loader(world: Arena) -> None:
    """The loader that waits for an answer is killed as well: what it has in hand must not count as done."""
    world.kept("load-1").kill()


def kill(world: Arena, chance: random.Random, away_s: float = 1.0) -> None:
    world.server.child.kill()
    time.sleep(away_s)
    lose_loader(world)
    began = time.monotonic()
    world.server.start()
    world.recover(world.loaders, began)


def kill_one_of_both(world: Arena, chance: random.Random) -> None:
    """The loader or the server, at any moment: totals are made once a second, so many a kill meets them half made."""
    time.sleep(chance.uniform(0.0, 2.0))
    if chance.random() < 0.5:
        kill(world, chance, 0.1)
        return
    began = time.monotonic()
    lose_loader(world)
    world.recover(world.loaders, began)


def stay_away(world: Arena, chance: random.Random) -> None:
    kill(world, chance, AWAY_S)


def freeze(world: Arena, chance: random.Random) -> None:
    psutil.Process(pid(world)).send_signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    lose_loader(world)
    psutil.Process(pid(world)).send_signal(signal.SIGCONT)
    world.recover(world.loaders)


def slow(world: Arena, chance: random.Random) -> None:
    assert world.proxy is not None
    world.proxy.mode = "slow"
    time.sleep(SLOW_S)
    lose_loader(world)
    world.recover(world.loaders)
    world.proxy.mode = "pass"


def lose_answer(world: Arena, chance: random.Random) -> None:
    assert world.proxy is not None
    proxy, lost = world.proxy, world.proxy.dropped
    proxy.mode = "drop_answer"
    world.until("an answer is lost", lambda: proxy.dropped > lost)
    proxy.mode = "pass"
    world.recover(world.loaders)


def fill_disk(world: Arena, chance: random.Random) -> None:
    fill(world.server.data)
    time.sleep(FULL_S)
    free(world.server.data)
    if not world.server.child.is_alive():
        world.server.start()
    world.recover(world.loaders)


def under_load(
    folder: Path, times: int, seed: int, breaks: Break, mutant: str | None = None, poll_interval_s: float | None = None
) -> tuple[Outcome, str]:
    chance = random.Random(seed)
    with arena(folder, clickhouse=True) as world:
        world.keep("meter")
        world.keep("load", mutant=mutant, poll_interval_s=poll_interval_s)
        world.recover(world.loaders)
        world.recoveries.clear()
        for _ in range(times):
            breaks(world, chance)
            eventually("ClickHouse runs", world.server.child.is_alive)
        verdict = world.settle(TOTALS_LOST_S if mutant else TOTALS_S)
        return outcome(world, times, verdict), said(verdict)


def declare(name: str, breaks: str, how: Break, mutant: str, says: str, poll_interval_s: float | None = None) -> Fault:
    return Fault(
        name,
        breaks,
        STORED_ONCE,
        lambda folder, times, seed: under_load(folder, times, seed, how, None, poll_interval_s)[0],
        says,
        lambda folder, seed: under_load(folder, MUTANT_TIMES, seed, how, mutant, poll_interval_s)[1],
    )


def on_a_small_disk(folder: Path, times: int, seed: int, mutant: str | None = None) -> tuple[Outcome, str]:
    """A limit on the size of files will not do: under one ClickHouse leaves parts behind that it cannot read."""
    with small_disk(folder / "data") as mounted:
        if not mounted:
            raise PermissionError("a small disk of its own takes a superuser to mount")
        return under_load(folder, times, seed, fill_disk, mutant)


WHILE_AWAY = "and the loader that waits for it is killed"
EARLY = ("ack_first", "position before the insert")
FAULTS = [
    declare("ClickHouse killed", f"kill -9 of the server, {WHILE_AWAY}", kill, *EARLY),
    declare("loader or ClickHouse killed", "kill -9 of either while totals are made", kill_one_of_both, *EARLY),
    declare("ClickHouse frozen", f"SIGSTOP for {FROZEN_S:g} s, {WHILE_AWAY}", freeze, *EARLY),
    declare("ClickHouse slow", f"each piece of an answer comes half a second late, {WHILE_AWAY}", slow, *EARLY),
    declare(
        "ClickHouse away for long",
        f"down for {AWAY_S:g} s where a consumer must poll every {POLL_INTERVAL_S:g} s",
        stay_away,
        *EARLY,
        POLL_INTERVAL_S,
    ),
    Fault(
        "ClickHouse's disk full",
        f"nothing more goes onto its disk for {FULL_S:g} s",
        STORED_ONCE,
        lambda folder, times, seed: on_a_small_disk(folder, times, seed)[0],
        EARLY[1],
        lambda folder, seed: on_a_small_disk(folder, MUTANT_TIMES, seed, EARLY[0])[1],
    ),
    declare(
        "answer of an insert lost",
        "inserted, and the answer dropped",
        lose_answer,
        "restamp",
        "each try is another page",
    ),
]
