"""Fault: an SDK process is killed, or its broker goes away. Invariant: what emit() returned for arrives, in order.

The mutants keep accepted events in memory, or drop what could not be delivered; the same checks must find it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.spool import FAULTS, kill, outage

SHORT_OUTAGE_S = 3.0


def test_an_sdk_killed_at_each_point_of_its_spool_loses_nothing_it_accepted(tmp_path: Path) -> None:
    outcome = kill(tmp_path, times=6, seed=1)
    assert outcome.holds, outcome
    assert outcome.sent > 0


def test_an_outage_loses_and_turns_round_nothing(tmp_path: Path) -> None:
    outcome = outage(tmp_path, times=1, seed=1, outage_s=SHORT_OUTAGE_S)
    assert outcome.holds, outcome
    assert outcome.sent > 0


def test_the_same_check_finds_what_a_spool_that_writes_late_loses(tmp_path: Path) -> None:
    assert "accepted events lost" in FAULTS[0].control(tmp_path, 1)


@pytest.mark.long
def test_the_same_check_finds_what_is_dropped_after_a_failed_delivery(tmp_path: Path) -> None:
    assert "accepted events lost" in FAULTS[1].control(tmp_path, 1)
