"""Every schedule of small scope: an owner dies before or after each effect, and two owners interleave in every way.

Invariant: every offset is committed exactly once, in order. The mutants (position outside the transaction, no fence)
must break it somewhere in the same schedules.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from support.memory_log import TOPIC, Broker, Crash, MemoryDriver, Owner, Pass, batch
from tokenmeter.events.errors import Fenced
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.page.performer import run

LOG_END = 6
PAGE = 2
EXPECTED = list(range(LOG_END))
EFFECTS = 3 + 3 * 6


def life(broker: Broker, owner: Owner) -> Iterator[steps.Effect]:
    """One owner from taking the partition to the end of the log, an effect at a time."""

    def drive(generator: steps.Steps) -> Any:
        answer = None
        while True:
            try:
                effect = generator.send(answer)
            except StopIteration as stop:
                return stop.value
            yield effect
            answer = owner.perform(effect)

    position = (yield from drive(steps.own())).next_offset
    while position < LOG_END:
        next_offset = min(position + PAGE, LOG_END)
        owner.processor.add(batch(position, next_offset))
        yield from drive(steps.commit(PageBounds(TOPIC, 0, position, next_offset)))
        position = next_offset


def finish(broker: Broker, outside: bool = False) -> None:
    """A healthy owner does the rest."""
    for _ in life(broker, Owner(MemoryDriver(broker, outside), Pass())):
        pass


def dying(broker: Broker, number: int, side: str, outside: bool = False) -> Owner:
    """One whose process ends ``side`` its ``number``-th effect."""
    count = 0

    def hook(effect: steps.Effect) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise Crash

    return Owner(MemoryDriver(broker, outside), Pass(), **{side: hook})


def crashed_at(number: int, side: str, outside: bool) -> list[int]:
    """What is committed after an owner died ``side`` its ``number``-th effect and another took over."""
    broker = Broker()
    owner = dying(broker, number, side, outside)
    with pytest.raises(Crash):
        for _ in life(broker, owner):
            pass
    finish(broker, outside)
    return broker.committed


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_owner_may_die_at_any_effect(side: str) -> None:
    for number in range(1, EFFECTS + 1):
        assert crashed_at(number, side, outside=False) == EXPECTED, f"{side} effect {number}"


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_position_outside_the_transaction_loses_pages_in_the_same_schedules(side: str) -> None:
    assert any(crashed_at(number, side, outside=True) != EXPECTED for number in range(1, EFFECTS + 1))


def interleaved(
    order: tuple[int, ...], total: int, fenced: bool = True, dies: tuple[int, str] | None = None, outside: bool = False
) -> list[int]:
    """Two owners take turns: the steps whose number is in ``order`` are the second's. A fenced one dies.

    ``dies``: the first owner's process ends at this effect, on this side of it.
    """
    broker = Broker(fenced=fenced)
    first = Owner(MemoryDriver(broker, outside), Pass()) if dies is None else dying(broker, *dies, outside)
    owners = [life(broker, owner) for owner in (first, Owner(MemoryDriver(broker, outside), Pass()))]
    alive = [True, True]
    for number in range(total):
        who = int(number in order)
        if alive[who]:
            try:
                next(owners[who])
            except (StopIteration, Fenced, Crash):
                alive[who] = False
    for who in range(2):  # then each goes on alone for as long as it may
        try:
            for _ in owners[who]:
                pass
        except (Fenced, Crash):
            continue
    finish(broker, outside)
    return broker.committed


SCHEDULES = [(order, 14) for size in range(1, 8) for order in combinations(range(14), size)]
DEATHS = [
    (order, 8, (number, side))
    for size in range(1, 8)
    for order in combinations(range(8), size)
    for number in range(1, EFFECTS + 1)
    for side in ("before", "after")
]


def test_two_owners_may_interleave_in_any_way() -> None:
    assert len(SCHEDULES) >= 5_000
    for order, total in SCHEDULES:
        assert interleaved(order, total) == EXPECTED, order


def test_without_a_fence_the_same_schedules_double_pages() -> None:
    assert any(len(interleaved(order, total, fenced=False)) > LOG_END for order, total in SCHEDULES)


def test_one_of_two_interleaved_owners_may_die_at_any_effect() -> None:
    assert len(DEATHS) >= 5_000
    for order, total, dies in DEATHS:
        assert interleaved(order, total, dies=dies) == EXPECTED, (order, dies)


@pytest.mark.parametrize("mutant", [{"fenced": False}, {"outside": True}], ids=str)
def test_the_mutant_fail_in_the_same_deaths(mutant: dict[str, bool]) -> None:
    assert any(interleaved(order, total, dies=dies, **mutant) != EXPECTED for order, total, dies in DEATHS)


def test_a_gap_is_crossed_only_where_retention_removed_it() -> None:
    driver = MemoryDriver(Broker(log_start=9))
    assert run(steps.cross_gap(TOPIC, 0, 5, 9), driver) == 4
    with pytest.raises(Exception, match="refusing to skip 3 offsets"):
        run(steps.cross_gap(TOPIC, 0, 5, 8), MemoryDriver(Broker(log_start=0)))
