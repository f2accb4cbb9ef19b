"""The watch on the page engine's terms: an owner that dies at any effect of a page alerts once and ends up knowing, bit
for bit, what an owner knows that never died. The mutant commits its position before its outputs; the check sees it.
"""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest

from support.memory_log import Crash
from support.watched import Owner, World, billing, dies_at, knows
from tokenmeter.events.contract import ALERTS, BILLING, WATCH_STATE
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.watch.settings import Sensitivity, Settings

BUCKET_S = 1800
DAY = 86400 // BUCKET_S
PLAN = Settings(BUCKET_S)
BEGIN_S = 20_605 * 86400
LEAK = 2 * DAY + 5
"""The bucket in which a key leaks."""
DAYS = 3
OWN_EFFECTS, EFFECTS = 3, 6
"""Of taking a partition: fence, read, restore. Of a page: close, begin, produce, send offsets, commit, committed."""


def world(days: float = DAYS, leak: int = LEAK) -> World:
    """Three customers, one of two keys; for three buckets one key makes forty times its calls. Lines of each customer
    and bucket stand together."""
    rng = np.random.default_rng(5)
    made = World(PLAN, begin_s=BEGIN_S)
    for bucket in range(round(days * DAY)):
        at_s = BEGIN_S + bucket * BUCKET_S + 7
        lines = []
        for customer, key, mean in (("a", "a-1", 40), ("a", "a-2", 30), ("b", None, 80), ("c", "c-1", 20)):
            calls = int(rng.poisson(mean)) * (40 if key == "a-1" and leak <= bucket < leak + 3 else 1)
            lines.append(billing(at_s, customer, key, calls))
        made.write(at_s, lines)
    return made


def follow(owner: Owner, cuts: list[int]) -> None:
    """Pages that end at ``cuts``; then the clock of an idle partition, two hours on."""
    for cut in cuts:
        if cut > owner.position:
            owner.page(cut)
    for seconds in (11, 21):  # an owner that has just begun waits ten seconds
        owner.world.now_ms = (BEGIN_S + DAYS * 86400 + 7200 + seconds) * 1000
        owner.pass_time()


def test_a_leaked_key_is_told_once_with_its_customer_its_money_and_its_end() -> None:
    made = world()
    owner = made.owner()
    follow(owner, [made.end()])
    opened, closed = made.alerts()
    assert (opened["subject_kind"], opened["subject_id"], opened["account_id"]) == ("key", "a-1", "a")
    assert (opened["kind"], opened["state"], opened["measure"]) == ("spike", "OPEN", "tokens")
    assert opened["broker_at"].timestamp() == BEGIN_S + (LEAK + 1) * BUCKET_S
    assert opened["seen"] > 20 * opened["expected"] and opened["score"] >= PLAN.score
    assert float(opened["amount"]) == pytest.approx(float(opened["seen"] - opened["expected"]) * 1e-5, rel=0.05)
    assert opened["projected_amount"] > opened["amount"]
    assert (opened["topic"], opened["currency"]) == (BILLING, "USD")
    batch = made.log.batch(BILLING, opened["first_offset"], opened["last_offset"] + 1)
    assert len(batch) == 4 and set(batch.appended_at_ms().tolist()) == {(BEGIN_S + LEAK * BUCKET_S + 7) * 1000}
    assert (closed["state"], closed["resolves"]) == ("RESOLVED", [opened["alert_id"]])
    assert opened["sentence"].startswith("key a-1 of a: ")


def test_any_page_cut_gives_the_same_state_and_the_same_alerts() -> None:
    whole, cut = world(), world()
    owners = whole.owner(), cut.owner()
    follow(owners[0], [whole.end()])
    follow(owners[1], [*range(7, cut.end(), 7), cut.end()])
    assert knows(owners[0]) == knows(owners[1])
    assert whole.log.values(ALERTS) == cut.log.values(ALERTS)


def problems(pages: int = 3, outside: bool = False) -> list[str]:
    """What differs from an unbroken run after a death before or after each effect of a page: one that alerts, one with
    a checkpoint, one that the clock makes."""
    calm = world()
    cuts = [*range(24, calm.end(), 24), calm.end()]
    owner, checkpoints = calm.owner(), []
    for cut in cuts:
        known = len(calm.log.values(WATCH_STATE))
        owner.page(cut)
        checkpoints += [cut - 24] if len(calm.log.values(WATCH_STATE)) > known else []
    follow(owner, [])
    wanted, told = knows(owner), calm.log.values(ALERTS)
    found = []
    alerts = 4 * (LEAK + 1) // 24 * 24
    for begin in (alerts, next(at for at in checkpoints if at > alerts), calm.end())[:pages]:
        before = world()
        healthy = before.owner(outside=outside)
        for cut in (cut for cut in cuts if cut <= begin):
            healthy.page(cut)
        for number, side in [(n, side) for n in range(1, EFFECTS + 1) for side in ("before", "after")]:
            dying = copy.deepcopy(before)
            broken = dying.owner(dies_at(OWN_EFFECTS + number, side), outside=outside)
            with pytest.raises(Crash):
                follow(broken, cuts)
            if number % 2:
                dying.log.compact(WATCH_STATE)
            last = dying.owner(outside=outside)
            follow(last, cuts)
            where = f"{side} effect {number} after {begin}"
            found += [where + ": another state"] if knows(last) != wanted else []
            found += [where + ": other alerts"] if dying.log.values(ALERTS) != told else []
    return found


def test_an_owner_may_die_at_any_effect() -> None:
    assert problems() == []


def test_the_same_deaths_find_what_a_position_committed_before_the_outputs_loses() -> None:
    assert {what.split(": ")[1] for what in problems(1, outside=True)} >= {"other alerts"}


def test_the_clock_closes_the_buckets_of_an_idle_partition_and_silence_is_told() -> None:
    made = world(days=DAYS * 6, leak=-9)
    owner = made.owner()
    owner.page(made.end())
    assert not owner.pass_time()
    made.now_ms = (BEGIN_S + DAYS * 6 * 86400 + 9) * 1000
    assert not owner.pass_time(), "the bucket ended nine seconds ago: a line may be on its way"
    made.now_ms += 1000
    assert owner.pass_time() and not owner.pass_time()
    made.now_ms += 86400 * 1000
    assert owner.pass_time()
    assert "silence" in {one["kind"] for one in made.alerts()} <= {"silence", "drop", "resolved"}
    again = made.owner()
    assert knows(again) == knows(owner)


def test_a_meter_that_stands_still_and_catches_up_is_one_alert_a_direction_and_not_one_a_customer() -> None:
    made, chance, still = World(PLAN, begin_s=BEGIN_S), np.random.default_rng(4), range(16 * DAY, 16 * DAY + 6)
    for bucket in range(16 * DAY + 12):
        at_s = BEGIN_S + bucket * BUCKET_S + 7
        times = 0 if bucket in still else 7 if bucket == still.stop else 1
        calls = [int(chance.poisson(60)) * times for _ in range(12)]
        made.write(at_s, [billing(at_s, f"c-{n}", f"k-{n}", one) for n, one in enumerate(calls) if one])
    owner = made.owner()
    owner.page(made.end())
    opened = [one for one in made.alerts() if one["state"] == "OPEN"]
    assert {(one["subject_kind"], one["subject_id"]) for one in opened} == {("group", "author/model")}
    assert [one["kind"] in ("silence", "drop") for one in opened] == [True, False]


def test_after_days_without_a_line_or_a_watch_it_goes_on_and_tells_no_silence() -> None:
    made = world()
    owner = made.owner()
    owner.page(made.end())
    told = len(made.alerts())
    later_s = BEGIN_S + (DAYS + 60) * 86400
    for bucket in range(4):
        made.write(later_s + bucket * BUCKET_S, [billing(later_s + bucket * BUCKET_S, "b", None, 80)])
    owner.page(made.end())
    assert len(made.alerts()) == told
    assert owner.processor.watch.collect.open == later_s // BUCKET_S + 3
    assert knows(made.owner()) == knows(owner)


def test_what_was_long_ago_when_the_watch_began_is_learned_and_not_told() -> None:
    made = world()
    made.now_ms = (BEGIN_S + DAYS * 86400) * 1000
    owner = made.owner()
    owner.page(made.end())
    assert made.alerts() == []
    assert owner.processor.remembered() == 6


def test_what_is_older_than_a_week_when_the_watch_began_is_not_read() -> None:
    made = world()
    made.now_ms = (BEGIN_S + (7 + 1) * 86400 + 3600) * 1000
    owner = made.owner()
    owner.page(made.end())
    ages = owner.processor.watch.detectors[0].blocks[0].columns.age
    assert ages.max() == (DAYS - 1) * DAY - 1
    assert knows(made.owner()) == knows(owner)


def test_a_group_that_was_moved_back_or_a_lost_state_stops_the_watch() -> None:
    made = world(days=0.5)
    made.owner().page(made.end())
    made.position = 3
    with pytest.raises(Fatal, match="somebody moved the consumer group"):
        made.owner()
    made.log.records[WATCH_STATE] = []
    with pytest.raises(Fatal, match="has no checkpoint"):
        made.owner()


def test_lines_that_retention_removed_behind_the_checkpoint_are_gone_and_the_watch_goes_on() -> None:
    made = world(days=1.2)
    owner = made.owner()
    for cut in (50, made.end() - 5):
        owner.page(cut)
    for left in (made.end() - 20, made.end()):
        made.log.records[BILLING] = [record for record in made.log.records[BILLING] if record[0] >= left]
        again = made.owner()
        assert again.position == made.end() - 5
        assert again.processor.remembered() == 6


def test_another_sensitivity_takes_effect_after_a_restart_and_is_no_other_past() -> None:
    made = world()
    owner = made.owner()
    owner.page(made.end() // 2)
    before = knows(owner)
    made.plan = Settings(BUCKET_S, Sensitivity.HIGH)
    again = made.owner()
    assert knows(again)[1:] == before[1:]
    assert again.processor.watch.detectors[0].plan.settings.sensitivity is Sensitivity.HIGH


def test_who_says_nothing_for_weeks_is_forgotten_and_the_row_is_used_again() -> None:
    made = world(days=1)
    for day in range(2, 40):
        at_s = BEGIN_S + day * 86400 - 60
        made.write(at_s, [billing(at_s, "b", None, 80)])
    at_s = BEGIN_S + 40 * 86400
    made.write(at_s, [billing(at_s, "new", None, 1)])
    owner = made.owner()
    owner.page(made.end())
    subjects = owner.processor.watch.subjects
    assert (len(subjects), subjects.watched) == (6, 2)
    assert Counter(one.subject_id for one in subjects.rows if one) == {"b": 1, "new": 1}
    assert knows(made.owner()) == knows(owner)
