"""A short set of the fault suite, for every test run: each kind of process once, on three brokers; the rest is
``make faults``. The controls here are those that other tests of this folder do not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import brokers, clickhouse
from faults.fault import Fault

SHORT = {fault.name: fault for fault in [*brokers.FAULTS, *clickhouse.FAULTS]}
NAMES = ("leader broker killed", "answer of an insert lost")


@pytest.mark.parametrize("fault", [SHORT[name] for name in NAMES], ids=lambda fault: fault.name)
def test_a_fault_of_the_short_set_loses_and_doubles_nothing(fault: Fault, tmp_path: Path) -> None:
    outcome = fault.run(tmp_path, 1, 1)
    assert outcome.holds, outcome
    assert outcome.injected == 1
    assert outcome.sent > 0


@pytest.mark.parametrize("fault", [SHORT[name] for name in NAMES], ids=lambda fault: fault.name)
def test_its_twin_is_caught_by_the_same_check(fault: Fault, tmp_path: Path) -> None:
    assert fault.control(tmp_path, 1)
