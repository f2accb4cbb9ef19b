"""Whether every place holds what was acknowledged: sets of ids, and money to the last pico. Pure.

Every event has a customer of its own, so a lost one and a doubled one never cancel each other, in the money neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from support.oracle import Verdict, by_ids

SHOWN = 3
K = TypeVar("K")


@dataclass(frozen=True)
class Sent:
    """``owed``: pico-units by customer of every event that was acknowledged; ``ahead``: customers of those that were
    stamped two hours ahead."""

    owed: Mapping[str, int]
    ahead: frozenset[str] = frozenset()


@dataclass
class Found:
    """By place, how many events and what amount of each customer."""

    log: Counter[str] = field(default_factory=Counter)
    """Different events on usage.events: a retry is none."""
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    money: dict[str, Counter[str]] = field(default_factory=dict)
    aside: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    """(customer, reason) in quarantine, by place; each event once."""


def judge(sent: Sent, found: Found) -> dict[str, Verdict]:
    """By place. The log holds all; each other place holds what is not put aside."""
    owed = {customer: amount for customer, amount in sent.owed.items() if amount}
    verdicts = {"usage.events": by_ids({*sent.owed, *sent.ahead}, found.log)}
    for place, calls in found.calls.items():
        verdicts[place] = by_ids(sent.owed, calls)
    for place, amounts in found.money.items():
        verdicts[f"{place}, money"] = Verdict(wrong=tuple(_wrong(place, owed, amounts)))
    wanted = {(customer, "early"): 1 for customer in sent.ahead}
    for place, aside in found.aside.items():
        verdicts[f"{place}, aside"] = Verdict(wrong=tuple(_wrong(place, wanted, aside)))
    return verdicts


def _wrong(place: str, wanted: Mapping[K, int], found: Mapping[K, int]) -> Iterable[str]:
    differ = sorted((str(key), key) for key in {*wanted, *found} if wanted.get(key, 0) != found.get(key, 0))
    for name, key in differ[:SHOWN]:
        yield f"{place} {name}: {found.get(key, 0)}, must be {wanted.get(key, 0)}"
    if len(differ) > SHOWN:
        yield f"{place}: and {len(differ) - SHOWN} more"


def total(verdicts: Mapping[str, Verdict]) -> Verdict:
    """What is lost, doubled, foreign or wrong anywhere."""
    whole = Verdict()
    for one in verdicts.values():
        whole |= one
    return whole
