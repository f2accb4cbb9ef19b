"""Judges a fault and its control: a failed expectation is a result, and so is a harness that gives up."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from faults.every import FAULTS
from faults.fault import Fault
from support.outcome import Outcome

HARNESS_TRIES = 2
LOGS = Path("build/faults")
"""By name of the fault or control; the last time it went wrong."""


def measured(work: Callable[[Path], object], name: str) -> object:
    """Do it in a folder of its own; a failed expectation is a result, not the end.

    Where the harness itself gives up (a time-out of a client it asks with, say), it is tried again, and then told as a
    finding of its own. What the processes logged is kept in ``LOGS`` then, for nothing else is left of the folder.
    """
    for tried in range(1, HARNESS_TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="tokenmeter-faults-") as folder:
            try:
                return work(Path(folder))
            except AssertionError as error:
                return f"{name}: {error}{_kept_logs(Path(folder), name)}"
            except Exception as error:
                gave_up = f"{name}: the harness gave up, {tried} times: {type(error).__name__}: {error}"
                gave_up += _kept_logs(Path(folder), name)
    return gave_up


def _kept_logs(folder: Path, name: str) -> str:
    """Copy the logs of ``folder``; says where they are, and nothing if there are none."""
    logs, into = list(folder.glob("*.log")), LOGS / re.sub(r"\W+", "-", name)
    shutil.rmtree(into, ignore_errors=True)
    for log in logs:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, into / log.name)
    return f"; logs: {into}" if logs else ""


def judged(fault: Fault, times: int, seed: int) -> tuple[Outcome, str]:
    """What came of the fault, and what its control found, which must have been looked at to count as caught."""
    found = measured(lambda folder: fault.run(folder, times, seed), fault.name)
    outcome = found if isinstance(found, Outcome) else Outcome(0, 0, wrong=(str(found),))
    control = f"control of {fault.name}"
    caught = str(measured(lambda folder: fault.control(folder, seed), control))
    if caught.startswith(control):
        return replace(outcome, wrong=(*outcome.wrong, caught)), ""
    return outcome, caught


def judged_by_name(name: str, times: int, seed: int) -> tuple[Outcome, str, float]:
    """The fault of that name, in a process of the pool, and how many seconds it took."""
    at = time.monotonic()
    (fault,) = (one for one in FAULTS if one.name == name)
    return *judged(fault, times, seed), time.monotonic() - at
