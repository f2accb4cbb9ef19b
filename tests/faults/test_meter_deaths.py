"""Fault: the meter is killed at each point of a page's life. Invariant: every event is metered exactly once,
and every account owes what the contract's page says, to the last pico-unit.

The twin commits its offset outside the transaction; the same check must find what it loses.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support import oracle, owed
from support.broker import broker, eventually, lag
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.events.contract import EVENTS
from tokenmeter.flow.meter_app import APP_ID

PRICED_EVENTS = 600
"""The customers of the first events are in the catalog, every third below a reseller and a distributor."""
POINTS = [
    Point("Produce", "before", 3),
    Point("Produce", "after", 3),
    Point("Commit", "before", 3),
    Point("Commit", "after", 3),
]


def die_once(folder: Path, point: Point, twin: str | None = None) -> list[str]:
    """Let the meter die at ``point`` under load, start it again, let it finish; returns what is wrong afterwards."""
    with broker(folder) as kafka:
        owed.publish(kafka.bootstrap, owed.for_events(oracle.made(0, PRICED_EVENTS)))
        load = oracle.Load(kafka.bootstrap)
        first = WorkerProcess(folder, "first", "meter", kafka.bootstrap, slot="1", point=point, twin=twin)
        eventually(f"it dies; {first.log}", lambda: load.wave() and not first.child.is_alive(), every_s=0.3)
        assert first.child.returncode == -signal.SIGKILL, first.child.log_tail()
        load.wave()
        second = WorkerProcess(folder, "second", "meter", kafka.bootstrap, slot="1", twin=twin)
        try:
            eventually(f"all is metered; {second.log}", lambda: lag(kafka.bootstrap, APP_ID, EVENTS) == 0)
        finally:
            second.kill()
        return load.problems()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_meter_killed_inside_a_page_loses_and_doubles_nothing(tmp_path: Path, point: Point) -> None:
    assert die_once(tmp_path, point) == []


def test_the_same_check_finds_what_an_offset_outside_the_transaction_loses(tmp_path: Path) -> None:
    found = die_once(tmp_path, Point("Commit", "before", 1), "commit_outside")
    assert any(problem.startswith("lost") for problem in found), found
