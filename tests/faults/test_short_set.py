"""A short set of the fault suite, for every test run; all of it, each fault many times, is ``make faults``.

Workers killed, exchanged and frozen have files of their own beside this one, and so has the SDK's spool.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults.every import FAULTS
from faults.fault import Fault

SEED = 7
EVERY = {fault.name: fault for fault in FAULTS}
INJECTED = (
    "leader broker killed",
    "answer of an insert lost",
    "sent-twice",
    "truncated",
    "retention_meter",
)
CONTROLS = ("answer of an insert lost", "truncated")
LONG = ("leader broker killed", "answer of an insert lost")
"""Of three brokers each, a minute long: ``make test-long``. One broker and a loader are killed in other tests."""


def chosen(names: tuple[str, ...]) -> list[Any]:
    return [pytest.param(EVERY[name], id=name, marks=[pytest.mark.long] if name in LONG else []) for name in names]


@pytest.mark.parametrize("fault", chosen(INJECTED))
def test_a_fault_of_the_short_set_loses_and_doubles_nothing(fault: Fault, tmp_path: Path) -> None:
    outcome = fault.run(tmp_path, 1, SEED)
    assert outcome.holds, outcome
    assert outcome.injected >= 1
    assert outcome.sent > 0


@pytest.mark.parametrize("fault", chosen(CONTROLS))
def test_its_mutant_is_caught_by_the_same_check(fault: Fault, tmp_path: Path) -> None:
    assert fault.control(tmp_path, SEED), fault.mutant
