"""Fault: the meter is killed at each crash point while two production traces are rated. Invariant: every charge, cost
and resale is what the contract's page says, to the last pico-unit, on the topics and in ClickHouse.

The book has long-context, cached, batch and time-window prices, a change of prices, and chains of three levels.
"""

from __future__ import annotations

import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support import owed
from support.broker import eventually
from support.worker_main import Point
from support.world import World
from tokenmeter.audit.charges import Charges
from tokenmeter.emit.replay.traces import read, yesterday
from tokenmeter.events import UsageEvent
from tokenmeter.store.statement import money

DATA = Path(__file__).parents[3] / "shared" / "data"
TRACES = ("azure_llm_2023_code.csv", "mooncake_conversation.jsonl")
POINTS = [Point("Produce", "before"), Point("Produce", "after"), Point("Commit", "before"), Point("Commit", "after")]
BATCH_EVERY = 5


def calls() -> list[UsageEvent]:
    """Both traces; every fifth call is a batch one."""
    made: list[UsageEvent] = []
    for name in TRACES:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the trace {path} is not on this machine; it is others' data and not part of the repository")
        made += read(path, yesterday(datetime.now(UTC)))
    return [one.model_copy(update={"variant": "batch"}) if n % BATCH_EVERY == 0 else one for n, one in enumerate(made)]


def sums(amounts: owed.Owed) -> dict[str, int]:
    """By kind, as ClickHouse is asked."""
    found: Counter[str] = Counter()
    for key, amount in amounts.items():
        if key[1] != "unpriced":
            found[f"{key[0]} USD"] += amount
    return dict(found)


def test_two_traces_owe_what_the_page_says_whatever_is_killed(tmp_path: Path) -> None:
    events = calls()
    with World.begun(tmp_path, clickhouse=True) as world:
        rows = owed.for_events(events)
        owed.publish(world.bootstrap, rows)
        world.worker("load", slot="1")
        for number, point in enumerate(POINTS):
            world.send(events[number :: len(POINTS)])
            dying = world.worker("meter", slot="1", point=point)
            assert dying.wait_ended(120) == -signal.SIGKILL, dying.child.log_tail()
        last = world.worker("meter", slot="1")
        world.wait_read("meter")
        last.kill()
        assert owed.problems(world.bootstrap, events) == []
        wanted = sums(owed.expected(events, Charges(enumerate(rows))))
        assert {"charge USD", "cost USD", "resale USD"} == set(wanted)
        eventually("ClickHouse says the same", lambda: money(world.store) == wanted, 60)
