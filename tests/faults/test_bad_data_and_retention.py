"""Each fault of bad_data and retention once, and its control, which the same check must find."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import bad_data, retention
from faults.fault import Fault

FAULTS = [*bad_data.FAULTS, *retention.FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_invariant_holds(fault: Fault, tmp_path: Path) -> None:
    outcome = fault.run(tmp_path, 1, 1)
    assert outcome.holds, outcome
    assert outcome.injected >= 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_same_check_finds_the_twin(fault: Fault, tmp_path: Path) -> None:
    assert fault.control(tmp_path, 1), fault.twin
