"""Lets others go first on a busy machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_SESSION = Path("/proc/self/autogroup")


def stand_back(niceness: int) -> None:
    """Lower this process by ``niceness``, see nice(2).

    Linux may weigh whole sessions against each other and heed nice(2) within one alone, see "autogroup" in sched(7):
    each part of a local stack is a session, so it is lowered too, unless others share it.
    """
    os.nice(niceness)
    if niceness and os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system has no such file, and it may be written to but ten times a second
            _SESSION.write_text(str(niceness), "utf-8")
