"""Each fault of ``faults.replays`` once, and its twin, which the same check must catch."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.fault import Fault
from faults.replays import FAULTS

SEED = 7


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_sent_again_counts_once(fault: Fault, tmp_path: Path) -> None:
    found = fault.run(tmp_path, 1, SEED)
    assert found.holds, found
    assert (found.injected, found.sent > 0) == (1, True)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_same_check_catches_the_twin(fault: Fault, tmp_path: Path) -> None:
    assert fault.control(tmp_path, SEED) != "", fault.twin
