"""Fault: a ledger dies before or after each of its effects, and two of them interleave, one frozen or dying on the way.

Invariant: the balance is exact and every threshold is told exactly once. The mutants (a position committed before the
state, ids forgotten at a restart, no fence) must break it in the same schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest

from support.memory_ledger import EFFECTS, LedgerBroker, ledger_owner, life
from support.memory_log import Crash, Owner
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.columns.decode import Rejected
from tokenmeter.flow.ledger import ledger
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.restore import accounts_of

TURNS = 9
"""Effects in which two owners take turns: from taking the partition to the end of a page."""


def dying(broker: LedgerBroker, number: int, side: str, **mutant: Any) -> Owner:
    """A driver whose process ends ``side`` its ``number``-th effect."""
    count = 0

    def hook(effect: object) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise Crash

    return ledger_owner(broker, **{side: hook}, **mutant)


def finish(broker: LedgerBroker, **mutant: Any) -> None:
    for _ in life(broker, ledger_owner(broker, **mutant)):
        pass


def crashed_at(number: int, side: str, **mutant: Any) -> list[str]:
    """What is wrong after a ledger died there and another took over."""
    broker = LedgerBroker()
    with pytest.raises(Crash):
        for _ in life(broker, dying(broker, number, side, **mutant)):
            pass
    finish(broker, **mutant)
    return broker.problems()


DEATHS = list(product(range(1, EFFECTS + 1), ("before", "after")))


def test_a_ledger_that_nothing_happens_to_has_no_problems() -> None:
    broker = LedgerBroker()
    finish(broker)
    assert broker.problems() == []


def test_a_ledger_may_die_at_any_effect() -> None:
    for number, side in DEATHS:
        assert crashed_at(number, side) == [], f"{side} effect {number}"


def interleaved(order: Sequence[int], fenced: bool = True, dies: tuple[int, str] | None = None) -> list[str]:
    """Two ledgers take turns, the effects in ``order`` are the second's; then the first goes on, which has been frozen
    since, then the second. ``dies``: the first one ends there."""
    broker = LedgerBroker(fenced=fenced)
    first = ledger_owner(broker) if dies is None else dying(broker, *dies)
    owners = [life(broker, first), life(broker, ledger_owner(broker))]
    turns = [int(number in order) for number in range(TURNS)]
    for who in turns:
        _go_on(owners, who, 1)
    for who in range(2):
        _go_on(owners, who, EFFECTS)
    finish(broker)
    return broker.problems()


def _go_on(owners: list[Any], who: int, effects: int) -> None:
    for _ in range(effects):
        try:
            next(owners[who])
        except (StopIteration, Fatal, Crash):
            owners[who] = iter(())
            return


ORDERS = [order for size in range(1, TURNS) for order in combinations(range(TURNS), size)][::2]


def test_two_ledgers_may_interleave_in_any_way() -> None:
    assert len(ORDERS) > 250
    for order in ORDERS:
        assert interleaved(order) == [], order


def test_one_of_two_interleaved_ledgers_may_die() -> None:
    for place, order in enumerate(ORDERS[::4]):
        number, side = DEATHS[place % len(DEATHS)]
        assert interleaved(order, dies=(number, side)) == [], (order, number, side)


def test_without_a_fence_the_same_schedules_tell_twice() -> None:
    assert any(interleaved(order, fenced=False) for order in ORDERS[::4])


def test_a_position_committed_before_the_state_is_caught_by_the_same_deaths() -> None:
    assert any(crashed_at(number, side, outside=True) for number, side in DEATHS)


def without_ids(one: Account) -> Account:
    return replace(one, counted={}, references={})


def without_positions(one: Account) -> Account:
    return replace(one, positions={})


def without_alarms(one: Account) -> Account:
    return replace(one, alarms={})


@pytest.mark.parametrize("forgetful", [without_ids, without_positions, without_alarms])
def test_a_ledger_that_forgets_at_a_restart_is_caught_by_the_same_deaths(
    forgetful: Callable[[Account], Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(states: Sequence[bytes | None]) -> tuple[list[Account], int, list[Rejected]]:
        accounts, next_offset, rejected = accounts_of(states)
        return [forgetful(one) for one in accounts], next_offset, rejected

    monkeypatch.setattr(ledger, "accounts_of", forgotten)
    assert any(crashed_at(number, side) for number, side in DEATHS)
