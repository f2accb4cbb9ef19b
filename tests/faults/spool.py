"""Faults: an SDK process with a spool is killed; the broker is away for minutes while SDK processes emit.

Invariant: whatever emit() returned for reaches usage.events, in order, and nothing that was never emitted does.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Literal, get_args

from faults.fault import Fault
from support import sdk
from support.broker import broker, eventually
from support.outcome import Outcome
from support.sdk_main import Point, Spec, Where
from tokenmeter.emit.spool import summary
from tokenmeter.stack.children import Child

AT_ONCE = 6
"""Processes killed side by side."""
OUTAGE_S = float(os.environ.get("TOKENMETER_TEST_OUTAGE_S", "120"))
"""How long the broker is away; the variable shortens it."""
CONTROL_TIMES = 6
CONTROL_OUTAGE_S = 5.0
ACCEPTED_EACH = 10
"""Events that every process must have had accepted before, during and after the outage."""
OUTAGE_PAUSE_S = 0.1
BEHIND = 3
"""Events that each thread of the next process emits behind what it found in the spool."""
ENDS_WITHIN_S = 120.0


def points(times: int, seed: int) -> list[Point]:
    """Every place in turn, its occurrence drawn by the seed: early, so that Kafka lacks much of what was accepted."""
    chance = random.Random(seed)
    places: list[Where] = list(islice(cycle(get_args(Where)), times))
    return [Point(where, chance.randint(20, 120) if "append" in where else chance.randint(1, 3)) for where in places]


def kill(folder: Path, times: int, seed: int, mutant: Literal["late"] | None = None) -> Outcome:
    """Kill ``times`` processes, ``AT_ONCE`` at a time; one next process drains their spools and emits behind."""
    specs: list[Spec] = []
    after: list[Spec] = []
    possible: set[str] = set()
    left, wrong, recover_s = 0, [], []
    with broker(folder) as kafka:
        planned = points(times, seed)
        for begin in range(0, times, AT_ONCE):
            killed = [
                Spec(kafka.bootstrap, f"killed-{begin + n:03d}", folder, point=point, mutant=mutant)
                for n, point in enumerate(planned[begin : begin + AT_ONCE])
            ]
            _let_die([(spec, sdk.start(folder, spec.name, [spec])) for spec in killed])
            specs += killed
            left += sum(found.events for spec in killed for found in summary(spec.spool))
            possible |= set().union(*map(sdk.in_flight, killed))
            began = time.monotonic()
            next_ones = [_behind(spec) for spec in killed]
            child = sdk.start(folder, f"next-{begin:03d}", next_ones)
            eventually("the next process ends", lambda child=child: not child.is_alive(), ENDS_WITHIN_S)
            if child.returncode != 0:
                wrong.append(f"the next process ended with {child.returncode}: {child.log_tail()}")
            recover_s += [(time.monotonic() - began) / len(killed)] * len(killed)
            after += next_ones
        verdict = sdk.Verdict(kafka.bootstrap, specs, after, possible)
    if times >= len(get_args(Where)) and not left and mutant is None:
        wrong.append("no process died with anything in its spool: nothing was tried")
    return Outcome(
        times,
        len(verdict.accepted),
        len(verdict.lost),
        len(verdict.conflicting),
        (*verdict.wrong, *wrong),
        tuple(recover_s),
    )


def outage(
    folder: Path, times: int, seed: int, outage_s: float = OUTAGE_S, mutant: Literal["drop"] | None = None
) -> Outcome:
    """One outage, met by ``times`` processes that emit before, through and after it."""
    wrong, recover_s = [], []
    with broker(folder) as kafka:
        specs = [
            Spec(kafka.bootstrap, f"sdk-{n:03d}", folder, pause_s=OUTAGE_PAUSE_S, mutant=mutant) for n in range(times)
        ]
        children = [sdk.start(folder, spec.name, [spec]) for spec in specs]
        _all_take(specs, children)
        kafka.kill()
        back_at = time.monotonic() + outage_s
        _all_take(specs, children)
        time.sleep(max(0.0, back_at - time.monotonic()))
        kafka.start()
        back_at = time.monotonic()
        _all_take(specs, children)
        specs[0].stop.touch()
        for spec, child in zip(specs, children, strict=True):
            eventually(f"{spec.name} ends", lambda child=child: not child.is_alive(), ENDS_WITHIN_S)
            recover_s.append(time.monotonic() - back_at)
            if child.returncode != 0:
                wrong.append(f"{spec.name} ended with {child.returncode}: {child.log_tail()}")
        verdict = sdk.Verdict(kafka.bootstrap, specs)
    sent, lost, doubled = len(verdict.accepted), len(verdict.lost), len(verdict.conflicting)
    return Outcome(times, sent, lost, doubled, (*verdict.wrong, *wrong), tuple(recover_s))


def _let_die(running: Sequence[tuple[Spec, Child]]) -> None:
    for spec, child in running:
        eventually(f"{spec.name} dies at {spec.point}", lambda child=child: not child.is_alive(), ENDS_WITHIN_S)
        assert child.returncode == -signal.SIGKILL, f"{spec.name} at {spec.point}: {child.log_tail()}"


def _behind(spec: Spec) -> Spec:
    """The next process over the same spool; its numbers follow those that were being emitted."""
    first = tuple(max(numbers, default=spec.first[thread] - 1) + 2 for thread, numbers in sdk.accepted(spec).items())
    return Spec(spec.bootstrap, spec.name, spec.folder, first=first, events=BEHIND, life=spec.life + 1)


def _all_take(specs: Sequence[Spec], children: Sequence[Child]) -> None:
    """Wait until every process has had some more events accepted."""
    before = [sdk.count(spec) for spec in specs]
    for spec, child, had in zip(specs, children, before, strict=True):

        def took(spec: Spec = spec, child: Child = child, had: int = had) -> bool:
            assert child.is_alive(), child.log_tail()
            return sdk.count(spec) >= had + ACCEPTED_EACH

        eventually(f"{spec.name} takes events", took, ENDS_WITHIN_S)


def _found(outcome: Outcome) -> str:
    lost = (f"{outcome.lost} of {outcome.sent} accepted events lost",) if outcome.lost else ()
    return "; ".join((*lost, *outcome.wrong))


FAULTS = [
    Fault(
        name="an SDK process with a spool is killed",
        breaks="kill -9 before, inside and after the write to the spool, before the send, and around the removal",
        invariant="every event for which emit() returned reaches usage.events once the next process opens the spool; "
        "nothing that was never emitted does; a customer's events stay in order; a repeat has the same bytes",
        run=kill,
        mutant="its spool keeps accepted events in memory and writes them fifty at a time",
        control=lambda folder, seed: _found(kill(folder, CONTROL_TIMES, seed, mutant="late")),
    ),
    Fault(
        name="the broker is away while SDK processes emit",
        breaks=f"the broker is killed and started again {OUTAGE_S:g} s later",
        invariant="every event accepted before, during and after the outage arrives, each customer's in order, and "
        "each emitter's sequence without a hole",
        run=outage,
        mutant="it has no spool and drops events whose delivery failed",
        control=lambda folder, seed: _found(outage(folder, CONTROL_TIMES, seed, CONTROL_OUTAGE_S, mutant="drop")),
    ),
]
