"""What is done to whom and when: rounds of actions, drawn from a seed. Pure.

A round is done in its order and then everything must be back; so actions of one round overlap, and two rounds do not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tokenmeter.stack.state import PARENT

KILL, FREEZE, HANG, RESTART = "kill -9", "freeze", "hang", "restart"
"""A frozen part goes on by itself; one that hangs is left stopped, and its supervisor must end it."""
FULL, AHEAD = "full disk", "two hours ahead"
ANOTHER = "another log"
"""Kafka comes back with another log than the one that was metered, a stranger's events in it; then with its own."""
STORES = ("kafka", "clickhouse")
WORKERS = ("meter", "load", "ledger", "watch")
FRONT = "gateway"
DISK, PRODUCER = "disk", "producer"
ROUND_ACTIONS_MIN, ROUND_ACTIONS_MAX = 3, 6
PAUSE_MAX_S = 1.5
FREEZE_MIN_S, FREEZE_MAX_S = 1.0, 6.0
"""Shorter than what the supervisor takes for a hang."""
FULL_S = 6.0

_COMMON = [(kind, part) for part in (*WORKERS, FRONT) for kind in (KILL, FREEZE, RESTART)]
_ALONE = [(KILL, PARENT), (FULL, DISK), (ANOTHER, "kafka"), *((HANG, part) for part in (*WORKERS, FRONT, *STORES))]
"""After these everything starts anew: nothing else is done in their round."""
_WEIGHTS = {
    **dict.fromkeys(_COMMON, 10),
    **{(kind, part): 4 for part in STORES for kind in (KILL, FREEZE, RESTART)},
    **dict.fromkeys(_ALONE, 1),
    (KILL, PARENT): 4,
    (FULL, DISK): 2,
    (FREEZE, PARENT): 4,
    (AHEAD, PRODUCER): 5,
}


@dataclass(frozen=True)
class Action:
    """``pause_s`` passes before it; ``hold_s`` is how long a freeze or a full disk lasts."""

    kind: str
    part: str
    pause_s: float = 0.0
    hold_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.part}" + (f" {self.hold_s:.1f} s" if self.hold_s else "")


Round = tuple[Action, ...]


def plan(seed: int, actions: int, disk: bool = True, superset: bool = False, only: str = "") -> list[Round]:
    """``actions`` of them; each sort once, as far as there is room, the others by their weights.

    ``disk``: whether there is one that may be filled. ``superset``: whether the stack has one. ``only``: sorts
    that hold this text, as ``kill -9 meter`` does "kill" and "meter".
    """
    chance = random.Random(seed)
    weights = {sort: weight for sort, weight in _WEIGHTS.items() if disk or sort[0] != FULL}
    if superset:
        weights |= {(kind, "superset"): 1 for kind in (KILL, FREEZE, RESTART)}
    sorts = [sort for sort in weights if only in " ".join(sort)]
    chance.shuffle(sorts)
    drawn = sorts[:actions]
    drawn += chance.choices(sorts, [weights[sort] for sort in sorts], k=actions - len(drawn))
    chance.shuffle(drawn)
    return list(_rounds([_action(chance, *sort) for sort in drawn], chance))


def _action(chance: random.Random, kind: str, part: str) -> Action:
    hold_s = {FREEZE: chance.uniform(FREEZE_MIN_S, FREEZE_MAX_S), FULL: FULL_S}.get(kind, 0.0)
    return Action(kind, part, round(chance.uniform(0, PAUSE_MAX_S), 2), round(hold_s, 2))


def _rounds(actions: Sequence[Action], chance: random.Random) -> list[Round]:
    """Each action in the first round that has room; no part twice in one, for nobody could tell of which of the two it
    is back."""
    made: list[tuple[int, list[Action]]] = []
    for action in actions:
        for most, taken in made:
            if len(taken) < most and _fits(action, taken):
                taken.append(action)
                break
        else:
            made.append((chance.randint(ROUND_ACTIONS_MIN, ROUND_ACTIONS_MAX), [action]))
    rounds = [tuple(taken) for _, taken in made]
    chance.shuffle(rounds)
    return rounds


def _fits(action: Action, taken: Sequence[Action]) -> bool:
    if any((one.kind, one.part) in _ALONE for one in (action, *taken)):
        return False
    return action.part not in {one.part for one in taken}


def disturbed(action: Action) -> tuple[str, ...]:
    """Who must be back after it: the part itself, and all that need it."""
    if action.part in (PARENT, DISK, "kafka"):
        return ("kafka", "clickhouse", *WORKERS, FRONT)
    if action.part == "clickhouse":
        return ("clickhouse", "load")
    return () if action.part == PRODUCER else (action.part,)
