"""What of ``make week`` needs no stack: its plan, its verdict, its signs and its report, each with a mutant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tokenmeter.stack.state import PARENT
from tokenmeter.stack.supervisor import STOPPED_MAX_S
from week import plan as kinds
from week.plan import Action, disturbed, plan
from week.report import BACK_MAX_S, Week
from week.signs import Signs
from week.verdict import Found, Sent, judge, total

MUTANT = Path(__file__).parents[1] / "week" / "mutant"
SENT = Sent({"a": 5, "b": 7, "c": 0}, frozenset({"ahead"}))


def found(**more: int) -> Found:
    """What agrees with SENT; ``more`` calls of a customer are added to the lines."""
    calls = Counter({"a": 1, "b": 1, "c": 1})
    return Found(
        Counter({**calls, "ahead": 1}),
        {"lines": calls + Counter(more), "store": Counter(calls)},
        {"lines": Counter({"a": 5, "b": 7}), "store": Counter({"a": 5, "b": 7})},
        {"aside": Counter({("ahead", "early"): 1})},
    )


def test_a_plan_is_its_seed_and_has_every_sort_once_before_any_twice() -> None:
    for seed in range(20):
        rounds = plan(seed, 200, superset=True)
        assert rounds == plan(seed, 200, superset=True) != plan(seed + 1, 200, superset=True)
        actions = [one for each in rounds for one in each]
        assert len(actions) == 200
        parts = {"kafka", "clickhouse", "meter", "load", "ledger", "watch", "gateway", "superset"}
        for kind in (kinds.KILL, kinds.FREEZE, kinds.RESTART):
            assert parts <= {one.part for one in actions if one.kind == kind}
        assert {(kinds.KILL, PARENT), (kinds.FULL, kinds.DISK), (kinds.AHEAD, kinds.PRODUCER)} <= {
            (one.kind, one.part) for one in actions
        }
        assert all(one.hold_s < STOPPED_MAX_S for one in actions), "what is frozen goes on by itself"


def test_no_round_breaks_a_part_twice_and_none_breaks_anything_beside_the_parent_or_the_disk() -> None:
    for seed in range(20):
        for one in plan(seed, 200):
            parts = [action.part for action in one]
            assert len({*parts}) == len(parts) <= kinds.ROUND_ACTIONS_MAX
            if any(a.kind in (kinds.HANG, kinds.FULL) or (a.kind, a.part) == (kinds.KILL, PARENT) for a in one):
                assert len(one) == 1


def test_a_plan_without_a_disk_of_its_own_fills_none() -> None:
    assert not [one for each in plan(1, 200, disk=False) for one in each if one.kind == kinds.FULL]


def test_whoever_needs_what_was_broken_must_be_back_too() -> None:
    every = {"kafka", "clickhouse", "meter", "load", "ledger", "watch", "gateway"}
    assert {*disturbed(Action(kinds.KILL, "kafka"))} == {*disturbed(Action(kinds.KILL, PARENT))} == every
    assert disturbed(Action(kinds.KILL, "meter")) == ("meter",)
    assert disturbed(Action(kinds.AHEAD, kinds.PRODUCER)) == ()


def test_what_agrees_has_no_problems() -> None:
    assert total(judge(SENT, found())).problems() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: it.calls["lines"].update({"a": 1}), "doubled: 1 events, e.g. a"),
        (lambda it: it.calls["store"].pop("c"), "lost: 1 events, e.g. c"),
        (lambda it: it.log.pop("ahead"), "lost: 1 events, e.g. ahead"),
        (lambda it: it.calls["lines"].update({"ahead": 1}), "never sent: 1 events, e.g. ahead"),
        # Of two wrong amounts whose sum is right, both are told.
        (lambda it: it.money["store"].update({"a": 1, "b": -1}), "store a: 6, must be 5"),
        (lambda it: it.aside["aside"].pop(("ahead", "early")), "aside ('ahead', 'early'): 0, must be 1"),
        (lambda it: it.aside["aside"].update({("b", "conflict"): 1}), "aside ('b', 'conflict'): 1, must be 0"),
    ],
)
def test_each_thing_that_is_wrong_is_told(change: object, said: str) -> None:
    wrong = found()
    change(wrong)  # type: ignore[operator]
    assert said in total(judge(SENT, wrong)).problems()


def test_a_worker_is_back_with_its_second_move_and_others_with_their_first_answer() -> None:
    signs = Signs()
    for at, position in ((1.0, 10), (2.0, 20), (3.0, 20), (4.0, 30)):
        signs.position("meter", position, at, at + 0.1)
        signs.answered("gateway", at, at + 0.2)
    assert signs.back_at("meter", 1.5) == 4.1
    assert signs.back_at("meter", 2.5) is None, "it moved but once: that page may have been on its way"
    assert signs.back_at("gateway", 1.5) == 2.2
    assert signs.back_at("gateway", 4.5) is None
    assert signs.back_at("unheard of", 0.0) is None


def test_the_slow_and_the_grown_are_told() -> None:
    week = Week()
    action = Action(kinds.KILL, "kafka")
    week.backs = [(action, {"kafka": BACK_MAX_S, "meter": BACK_MAX_S + 1, "load": None})]
    assert [line.split(": ")[1] for line in week.slow()] == ["meter back after 31.0 s", "load back after never"]
    for n in range(24):
        week.sample({"meter": (200.0 + 2 * n, 50)}, customers=0)
    assert week.grown() == []
    week = Week()
    for n in range(24):
        week.sample({"meter": (200.0 + 20 * n, 50 + 2 * n)}, customers=1_000 * n)
    assert [line.split(":")[0] for line in week.grown()] == ["meter rss_mb", "meter files"]


def test_who_knows_every_customer_may_grow_with_them_and_no_more() -> None:
    for kb, grown in ((3, []), (9, ["ledger rss_mb"])):
        week = Week()
        for n in range(24):
            customers = 2_000 * n
            week.sample({"ledger": (160.0 + customers * kb / 1024, 56)}, customers)
        assert [line.split(":")[0] for line in week.grown()] == grown


REPEATS = """
import numpy as np
from tokenmeter.flow.meter.dedup import Horizon, DedupKeys
same = DedupKeys(np.ones(2, np.uint64), np.ones(2, np.uint64), np.ones(2, np.uint64), np.ones(2, np.int64))
print(Horizon().admit(same).tolist())
"""
LOG = """
from tokenmeter.flow.load.topics import made_anew
from tokenmeter.flow.page.same_log import LogIdentity, changes
from tokenmeter.kafka.identity import TopicIdentity
known, there = (LogIdentity("cluster", {"usage.events": TopicIdentity(name, 4)}) for name in "ab")
print(len([*changes(known, there)]), made_anew({"usage.events": "a"}, {"usage.events": "b"}))
"""


@pytest.mark.parametrize(
    ("mutant", "asked", "true", "of_the_mutant"),
    [("repeats", REPEATS, "[0, 1]", "[0, 0]"), ("log", LOG, "1 ['usage.events']", "0 []")],
)
def test_the_controls_break_what_they_say_and_in_workers_alone(
    mutant: str, asked: str, true: str, of_the_mutant: str
) -> None:
    env = {**os.environ, "PYTHONPATH": str(MUTANT), "WEEK_MUTANT": mutant}
    answers = [
        subprocess.run([sys.executable, "-c", asked, verb], env=env, capture_output=True, text=True, timeout=120)
        for verb in ("gateway", "meter")
    ]
    assert [one.stdout.strip() for one in answers] == [true, of_the_mutant], [one.stderr[-500:] for one in answers]
