"""Faults: events are sent again, soon or late, as they were or with another payload; reconcile is killed, run twice.

Invariant: lines add up to the first copy of every event, by every key and figure, however often it was sent; what
contradicts it is quarantined by name. ``FAULTS`` declares them; the check counts what was sent (support.usage_totals).
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from faults.fault import Fault
from support import usage_totals
from support.broker import read_all
from support.days import LONG_MS, SHORT_MS, TIMEOUT_S, Days, day, days
from support.outcome import Outcome
from support.workers import TESTS
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import EVENTS, PAGES, QUARANTINE

NO_HORIZON_MS = -1
"""The mutant: a meter that knows no repeats."""
WAVE_EVENTS = 400
SOON_SHARE = 0.05
KILLED_AFTER = 15
"""Corrections that a run sends before it is killed; a day needs several hundred."""


def _outcome(injected: int, found: Outcome, wrong: Sequence[str], recover_s: Sequence[float] = ()) -> Outcome:
    return Outcome(injected, found.sent, found.lost, found.doubled, (*found.wrong, *wrong), tuple(recover_s))


def _text(found: Outcome) -> str:
    return "" if found.holds else f"lost {found.lost}, doubled {found.doubled}, {'; '.join(found.wrong[:2])}"


def _sent_twice(made: Days, times: int, seed: int) -> list[str]:
    wrong, repeats = [], 0
    for wave in range(times):
        events = day(seed * 1_000 + wave, WAVE_EVENTS)
        again = random.Random(seed + wave).sample(events, int(len(events) * SOON_SHARE))
        made.send([*events, *again])
        made.first += events
        repeats += len(again)
    made.wait_read("meter")
    counted = sum(decode(record.value).record["duplicates"] for record in read_all(made.bootstrap, PAGES))
    wrong += [] if counted == repeats else [f"{repeats} repeats sent, {counted} counted"]
    return wrong


def run_sent_twice(folder: Path, times: int, seed: int) -> Outcome:
    with days(folder, LONG_MS) as made:
        wrong = _sent_twice(made, times, seed)
        return _outcome(times, made.judge(), wrong)


def control_sent_twice(folder: Path, seed: int) -> str:
    with days(folder, NO_HORIZON_MS) as made:
        _sent_twice(made, 1, seed)
        return _text(made.judge())


def _day_twice(
    made: Days, times: int, seed: int, fix: Callable[[Days], object], merge: bool
) -> tuple[Outcome, list[float]]:
    """Send a day, then ``times`` again after the horizon; ``fix`` it each time; returns the judgement at the end."""
    made.first = day(seed)
    made.send(made.first)
    wrong, took = [], []
    for _ in range(times):
        made.outlive_horizon()
        made.send(made.first)
        if not made.judge().doubled:
            wrong.append("the copies were not metered again: nothing was injected")
        made.wait_read("load", EVENTS)
        if merge:
            made.merge()
        began = time.monotonic()
        fix(made)
        took.append(time.monotonic() - began)
    return _outcome(times, made.judge(), wrong), took


def _apply_twice(made: Days) -> list[str]:
    """Apply; a second time, and a look at everything, must find and change nothing."""
    first = made.reconcile(apply=True)
    wrong = [] if first.ok and first.sent else [f"reconcile: {first.sent} sent, {first.outstanding} lines left"]
    for again in (made.reconcile(apply=True), made.reconcile(apply=True, full=True)):
        if again.sent or again.wrong:
            wrong.append(f"applied again: {again.sent} sent, {len(again.wrong)} lines wrong")
    return wrong


def _run_day(folder: Path, times: int, seed: int, merge: bool) -> Outcome:
    with days(folder, SHORT_MS) as made:
        wrong: list[str] = []
        found, took = _day_twice(made, times, seed, lambda made: wrong.extend(_apply_twice(made)), merge)
        return _outcome(times, found, [*wrong, *made.audited()], took)


def run_day(folder: Path, times: int, seed: int) -> Outcome:
    return _run_day(folder, times, seed, merge=False)


def run_day_merged(folder: Path, times: int, seed: int) -> Outcome:
    return _run_day(folder, times, seed, merge=True)


def control_random_ids(folder: Path, seed: int) -> str:
    """Each run names its corrections anew, so what one has done looks undone to the next."""

    def fix(made: Days) -> None:
        for _ in range(2):
            made.reconcile(apply=True, full=True, make_id=lambda facts: f"reconcile-{uuid.uuid4().hex}")

    with days(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=False)[0])


UNMERGED = """
SELECT e.customer_id, e.event_id FROM tokenmeter.usage_events AS e
GROUP BY e.customer_id, e.event_id HAVING count() > 1
"""


def control_unmerged(folder: Path, seed: int) -> str:
    """Believes the copies that ClickHouse happens not to have merged away."""

    def fix(made: Days) -> None:
        copies = set(made.store.query(UNMERGED).result_rows)
        made.send([_reversed(one) for one in made.first if (one.customer_id, one.event_id) in copies])

    with days(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=True)[0])


def _reversed(one: UsageEvent) -> UsageEvent:
    """What takes one call off again."""
    record = one.to_record()
    signed = {name: -record[name] for name in usage_totals.QUANTITY_FIELDS}
    signed |= {"calls": -1, "context_bucket": usage_totals.bucket(one.input_tokens)}
    return UsageEvent(
        **{**record, **signed, "kind": "CORRECTION", "corrects": one.event_id, "event_id": f"x-{one.event_id}"}
    )


def _kill_in_the_middle(made: Days) -> list[str]:
    command = [sys.executable, "-m", "support.reconcile_dying", made.bootstrap, made.server.url, str(KILLED_AFTER)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=TIMEOUT_S)
    return [] if ended.returncode == -signal.SIGKILL else [f"it was to be killed, but: {ended.stderr[-300:]}"]


def run_killed(folder: Path, times: int, seed: int) -> Outcome:
    """Killed after some corrections, ``times`` in a row and beyond the horizon each time, then run to its end."""
    wrong: list[str] = []

    def fix(made: Days) -> None:
        for _ in range(times):
            wrong.extend(_kill_in_the_middle(made))
            made.outlive_horizon()
        wrong.extend(_apply_twice(made))

    with days(folder, SHORT_MS) as made:
        found, took = _day_twice(made, 1, seed, fix, merge=True)
        return _outcome(times, found, [*wrong, *made.audited()], took)


def control_killed(folder: Path, seed: int) -> str:
    """The run after the kill names its corrections anew: what was sent before the kill is sent again."""

    def fix(made: Days) -> None:
        _kill_in_the_middle(made)
        made.reconcile(apply=True, full=True, make_id=lambda facts: f"reconcile-{uuid.uuid4().hex}")

    with days(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=True)[0])


def changed(events: Sequence[UsageEvent], seed: int) -> list[UsageEvent]:
    """The same ids with other figures; some with another model, some with another hour."""
    chance = random.Random(seed)
    made = []
    for one in events:
        fields: dict[str, Any] = {"output_tokens": one.output_tokens + 1 + chance.randrange(1_000)}
        if chance.random() < 0.3:
            fields["model"] = "another/model"
        if chance.random() < 0.3:
            fields["occurred_at"] = one.occurred_at + timedelta(hours=1)
        made.append(one.model_copy(update=fields))
    return made


def _conflicts_soon(made: Days, times: int, seed: int) -> list[str]:
    expected = set()
    for wave in range(times):
        events = day(seed * 1_000 + wave, WAVE_EVENTS)
        others = changed(random.Random(seed + wave).sample(events, 40), seed)
        made.send([*events, *others])
        made.first += events
        expected |= {(one.customer_id, one.event_id, "conflict") for one in others}
    made.wait_read("meter")
    kept = [decode(record.value).record for record in read_all(made.bootstrap, QUARANTINE)]
    found = {(one["customer_id"], one["event_id"], one["reason"]) for one in kept}
    wrong = [] if found == expected else [f"quarantine differs by {sorted(found ^ expected)[:3]}"]
    return wrong + ([] if len(kept) == len(expected) else [f"{len(kept)} quarantined for {len(expected)}"])


def run_conflict_soon(folder: Path, times: int, seed: int) -> Outcome:
    with days(folder, LONG_MS) as made:
        wrong = _conflicts_soon(made, times, seed)
        return _outcome(times, made.judge(), wrong)


def control_conflict_soon(folder: Path, seed: int) -> str:
    with days(folder, NO_HORIZON_MS) as made:
        wrong = _conflicts_soon(made, 1, seed)
        return "; ".join(filter(None, [_text(made.judge()), *wrong]))


def _conflicts_late(made: Days, times: int, seed: int, fix: Callable[[Days], object]) -> Outcome:
    made.first = day(seed)
    made.send(made.first)
    for time_no in range(times):
        made.outlive_horizon()
        made.send(changed(made.first[:: 3 + time_no], seed + time_no))
        made.wait_read("load", EVENTS)
        made.merge()
        fix(made)
    return made.judge()


def run_conflict_late(folder: Path, times: int, seed: int) -> Outcome:
    with days(folder, SHORT_MS) as made:
        wrong: list[str] = []
        found = _conflicts_late(made, times, seed, lambda made: wrong.extend(_apply_twice(made)))
        return _outcome(times, found, [*wrong, *made.audited()])


def control_conflict_late(folder: Path, seed: int) -> str:
    """Takes off what the first copy said, though the lines have what the second one says."""

    def fix(made: Days) -> None:
        made.send([_reversed(one) for one in made.first[::3]])

    with days(folder, SHORT_MS) as made:
        return _text(_conflicts_late(made, 1, seed, fix))


_ONCE = "lines add up to the first copy of every event, by every key and figure"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "sent-twice",
        "5 % of the events are sent twice within the horizon",
        f"{_ONCE}; pages count the repeats",
        run_sent_twice,
        "a meter without a horizon",
        control_sent_twice,
    ),
    Fault(
        "day-resent",
        "a whole day's events are sent again after the horizon",
        f"after reconcile --apply {_ONCE}; twice applied changes nothing",
        run_day,
        "a reconcile that names its corrections at random",
        control_random_ids,
    ),
    Fault(
        "day-resent-merged",
        "a whole day's events are sent again after the horizon, and ClickHouse has merged the copies away",
        f"after reconcile --apply {_ONCE}; twice applied changes nothing",
        run_day_merged,
        "a reconcile that trusts unmerged rows",
        control_unmerged,
    ),
    Fault(
        "reconcile-killed",
        "reconcile --apply is killed when some of its corrections are sent, and run again after the horizon",
        f"after the run that ends {_ONCE}",
        run_killed,
        "a reconcile that names its corrections at random",
        control_killed,
    ),
    Fault(
        "conflict-soon",
        "the same ids come with another payload within the horizon",
        f"{_ONCE}; each conflict is quarantined by name",
        run_conflict_soon,
        "a meter without a horizon",
        control_conflict_soon,
    ),
    Fault(
        "conflict-late",
        "the same ids come with another payload after the horizon",
        f"after reconcile --apply {_ONCE}",
        run_conflict_late,
        "a reconcile that takes off what the first copy said",
        control_conflict_late,
    ),
)
