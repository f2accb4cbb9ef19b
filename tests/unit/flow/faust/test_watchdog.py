"""What the watchdog counts as standing still."""

from __future__ import annotations

from tokenmeter.flow.faust.watchdog import Watchdog


def test_the_watchdog_counts_only_time_with_work_and_without_progress() -> None:
    dog = Watchdog(10)
    assert dog.observe("p", 0, 0, 100) == 0
    assert dog.observe("p", 5, 0, 100) == 0
    assert dog.observe("p", 5, 0, 108) == 8
    assert dog.observe("p", 5, 105, 108) == 3
    assert dog.observe("p", 0, 105, 120) == 0
