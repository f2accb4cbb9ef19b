"""Faults: Kafka's brokers killed, frozen and restarted under load.

Invariant: what was acknowledged is counted once, whichever broker is away. The mutant is an emitter that does not wait
for the brokers' acknowledgement: the same check must find what it believes to be delivered.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from faults.fault import Fault, outcome, said
from support.arena import Arena, arena
from support.broker import eventually
from support.outcome import Outcome
from tokenmeter.events.contract import EVENTS
from tokenmeter.stack.kafka import KafkaNode

FROZEN_S = 15.0
HANGS_S = 0.3
"""A broker that is about to die hangs before: what it was sent meanwhile dies with it."""
IN_SYNC_S = 90.0

Break = Callable[[Arena, random.Random, int], None]


def in_sync(world: Arena) -> bool:
    """Whether each partition of usage.events has all its copies again."""
    admin = AdminClient({"bootstrap.servers": world.bootstrap, "log_level": 0})
    partitions = admin.list_topics(EVENTS, 10).topics[EVENTS].partitions.values()
    return all(len(partition.isrs) == len(world.cluster.nodes) for partition in partitions)


def leader(world: Arena, chance: random.Random) -> KafkaNode:
    """The node that leads a partition of usage.events."""
    admin = AdminClient({"bootstrap.servers": world.bootstrap, "log_level": 0})
    partitions = admin.list_topics(EVENTS, 10).topics[EVENTS].partitions
    node_id = partitions[chance.randrange(len(partitions))].leader
    return next(node for node in world.cluster.nodes if node.node_id == node_id)


def die(node: KafkaNode) -> None:
    """Hang, then end."""
    assert node.child is not None
    node.child.signal(signal.SIGSTOP)
    time.sleep(HANGS_S)
    node.kill()


def kill_leader(world: Arena, chance: random.Random, number: int) -> None:
    node = leader(world, chance)
    die(node)
    world.recover(world.meters)
    node.start()


def kill_in_turn(world: Arena, chance: random.Random, number: int) -> None:
    node = world.cluster.nodes[number % len(world.cluster.nodes)]
    die(node)
    world.recover(world.meters)
    node.start()


@contextmanager
def frozen_leader(world: Arena, chance: random.Random) -> Iterator[None]:
    """A leader hangs for FROZEN_S, or longer if what is done meanwhile takes longer."""
    node = leader(world, chance)
    assert node.child is not None
    node.child.signal(signal.SIGSTOP)
    began = time.monotonic()
    yield
    time.sleep(max(0.0, FROZEN_S - (time.monotonic() - began)))
    node.child.signal(signal.SIGCONT)


def freeze(world: Arena, chance: random.Random, number: int) -> None:
    with frozen_leader(world, chance):
        world.recover(world.meters)


def freeze_blindly(world: Arena, chance: random.Random, number: int) -> None:
    """As ``freeze``, for an emitter that waits for no answer: it never learns that the broker hangs, and its queue to
    that broker holds up all it sends until the broker goes on."""
    with frozen_leader(world, chance):
        pass
    world.recover(world.meters)


def restart_all(world: Arena, chance: random.Random, number: int) -> None:
    for node in world.cluster.nodes:
        assert node.child is not None
        node.child.signal(signal.SIGSTOP)
    time.sleep(HANGS_S)
    world.cluster.kill()
    began = time.monotonic()
    world.cluster.start()
    world.recover(world.meters, began)


def under_load(folder: Path, times: int, seed: int, breaks: Break, acks: str = "all") -> tuple[Outcome, str]:
    """Break it ``times`` times, each after all copies are in step again."""
    chance = random.Random(seed)
    config = {} if acks == "all" else {"acks": acks, "enable.idempotence": False}
    with arena(folder, client_config=config) as world:
        world.keep("meter", "1")
        world.keep("meter", "2")
        world.recover(world.meters)
        world.recoveries.clear()
        for number in range(times):
            eventually("every copy is in step", lambda: in_sync(world), IN_SYNC_S, 0.3)
            breaks(world, chance, number)
        verdict = world.settle()
        return outcome(world, times, verdict), said(verdict)


def declare(name: str, breaks: str, how: Break, mutant_times: int, of_mutant: Break | None = None) -> Fault:
    return Fault(
        name,
        breaks,
        "every acknowledged event is counted once",
        lambda folder, times, seed: under_load(folder, times, seed, how)[0],
        "an emitter with acks=0",
        lambda folder, seed: under_load(folder, mutant_times, seed, of_mutant or how, "0")[1],
    )


FAULTS = [
    declare("leader broker killed", "kill -9 of the broker that leads a partition, under load", kill_leader, 3),
    declare("brokers killed in turn", "kill -9 of each of the three brokers, one after the other", kill_in_turn, 3),
    declare("broker frozen 15 s", "SIGSTOP of a leading broker for 15 s", freeze, 1, freeze_blindly),
    declare("cluster restarted", "kill -9 of all three brokers, started again with their data", restart_all, 1),
]
