"""Fault: ledgers join and leave, one is frozen past its session and continued, and the broker is killed and restarted.

Invariant: every balance is the sum of its account's entries, every threshold is told exactly once, and the frozen one
dies fenced. All that needs no real fence is tried in every order in ``test_ledger_schedules``, kills on real Kafka in
``test_ledger_deaths``, and the fence that every worker has in ``test_two_meters``.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.broker import eventually
from support.ledger_waves import GRANTED, PARTITIONS, Entries
from support.worker_main import Point
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.flow.faust.worker import EXIT_CRASHED

ALL = set(range(PARTITIONS))
WAIT_S = 120.0


def wait(what: str, entries: Entries, one: WorkerProcess, owned: int) -> None:
    """Until ``one`` works on so many partitions; a partition is taken with its first batch."""
    eventually(f"{what}; {one.log}", lambda: entries.wave() and len(one.owned()) == owned, WAIT_S, 0.5)


def again(world: World, entries: Entries, one: WorkerProcess) -> WorkerProcess:
    """The ledger that has booked everything. One that dies of its broker is replaced, as ``tokenmeter up`` does it."""
    here = [one]

    def booked() -> bool:
        if not here[-1].child.is_alive():
            here.append(world.worker("ledger"))
        return entries.booked()

    entries.wave()
    eventually(f"a ledger books again; {one.log}", booked, 2 * WAIT_S, 0.5)
    return here[-1]


def come_and_go(folder: Path, times: int = 1, inside_pages: bool = False) -> list[str]:
    """``times`` rounds of all faults; returns what is wrong afterwards.

    The ledger is killed with its broker. ``inside_pages``: the broker alone, while entries are booked. Then a position
    may lie in a transaction that nobody ends, and is not told before the broker aborts it, after a minute; and a
    producer may wait for ever for a broker that came back (librdkafka), until the watchdog ends its worker.
    """
    with World.begun(folder, PARTITIONS) as world:
        entries = Entries(world.bootstrap)
        stays = world.worker("ledger")
        wait("the first has everything", entries, stays, len(ALL))
        for _ in range(times):
            leaves, stays = stays, world.worker("ledger")
            wait("both work", entries, stays, 1)
            leaves.child.signal(signal.SIGTERM)
            leaves.wait_ended(WAIT_S)
            zombie = world.worker("ledger", point=Point("SendOffsets", "before", 2, "STOP"))
            eventually(f"it is frozen; {zombie.log}", lambda z=zombie: entries.wave() and z.is_stopped(), WAIT_S, 0.5)
            stays = again(world, entries, stays)
            zombie.resume()
            assert zombie.wait_ended(WAIT_S) == EXIT_CRASHED, zombie.child.log_tail()
            assert "Fenced" in zombie.log.read_text()
            if inside_pages:
                entries.wave()
            else:
                stays.kill()
            world.kafka.kill()
            world.kafka.start()
            stays = again(world, entries, stays)
        entries.wave(int(GRANTED))
        eventually(f"all is booked; {stays.log}", entries.booked, WAIT_S)
        return entries.problems()


@pytest.mark.long
def test_ledgers_that_come_go_and_freeze_keep_every_balance_and_tell_each_threshold_once(tmp_path: Path) -> None:
    assert come_and_go(tmp_path) == []
