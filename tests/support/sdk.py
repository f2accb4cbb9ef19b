"""SDK processes, and what must be true of usage.events afterwards: compared id by id, never by counts."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from support.broker import read_all
from support.sdk_main import Spec
from support.workers import TESTS
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.stack.children import Child


def start(folder: Path, name: str, specs: Sequence[Spec]) -> Child:
    """One process that runs them one after the other."""
    path = folder / f"{name}.json"
    path.write_bytes(TypeAdapter(tuple[Spec, ...]).dump_json(tuple(specs)))
    env = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    child = Child(name, [sys.executable, "-m", "support.sdk_main", str(path)], folder / f"{name}.log", env)
    child.start()
    return child


def accepted(spec: Spec) -> dict[int, list[int]]:
    """Thread to the numbers for which emit() returned."""
    found: dict[int, list[int]] = {thread: [] for thread in range(len(spec.first))}
    if spec.accepted.exists():
        for line in spec.accepted.read_text().splitlines():
            thread, number = map(int, line.split())
            found[thread].append(number)
    return found


def count(spec: Spec) -> int:
    return sum(map(len, accepted(spec).values()))


def in_flight(spec: Spec) -> set[str]:
    """Ids whose emit() may have been running when the process ended: they may arrive, and need not."""
    return {
        spec.event_id(thread, max(numbers, default=spec.first[thread] - 1) + 1)
        for thread, numbers in accepted(spec).items()
    }


class Verdict:
    """``accepted``, ``lost`` and ``conflicting`` are sets of ids; ``wrong`` says whatever else is not as it must be."""

    def __init__(
        self, bootstrap: str, killed: Sequence[Spec], whole: Sequence[Spec] = (), possible: Iterable[str] = ()
    ) -> None:
        """``whole`` ended by themselves. ``possible`` may have arrived although their emit() did not return."""
        self.accepted = {
            spec.event_id(thread, number)
            for spec in (*killed, *whole)
            for thread, numbers in accepted(spec).items()
            for number in numbers
        }
        first: dict[str, bytes] = {}
        order: dict[str, list[str]] = defaultdict(list)
        sequences: dict[str, list[int]] = defaultdict(list)
        self.conflicting: set[str] = set()
        for record in read_all(bootstrap, EVENTS):
            found = decode(record.value).record
            identity = found["event_id"]
            if identity not in first:
                first[identity] = record.value
                order[found["customer_id"]].append(identity)
                sequences[found["source"]].append(found["sequence"])
            elif first[identity] != record.value:
                self.conflicting.add(identity)
        self.lost = self.accepted - first.keys()
        named = {
            "never emitted": first.keys() - self.accepted - set(possible),
            "repeated with other bytes": self.conflicting,
            "out of order": {customer for customer, ids in order.items() if ids != sorted(ids)},
            "a hole in the sequence": {
                source for source, numbers in sequences.items() if sorted(numbers) != list(range(len(numbers)))
            },
        }
        self.wrong = tuple(f"{what}: {len(ids)}, e.g. {min(ids)}" for what, ids in named.items() if ids)
