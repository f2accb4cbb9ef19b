"""What the kernel says of a process, and which of them it is: numbers of processes are used again.

A process is known by its boot and the tick it started at; with them a number that was written down long ago, or before
the machine was started again, never names another one.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_AFTER_NAME = 2
"""The number of the first field of /proc/PID/stat behind the name, which may hold anything; see proc_pid_stat(5)."""
_STATE, _START_TICKS = 3 - _AFTER_NAME - 1, 22 - _AFTER_NAME - 1


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def born(pid: int) -> str | None:
    """What tells this process from any other that ever had the number; None when there is none."""
    stat = _stat(pid)
    if stat is None:
        return None
    try:
        boot = _BOOT_ID.read_text("ascii").strip()
    except OSError:
        boot = "?"
    return f"{boot}/{stat[_START_TICKS]}"


def is_same(pid: int, known: str | None) -> bool:
    """Whether the process that was ``born`` so still lives. One that was written down without it: whether any does."""
    now = born(pid)
    return now is not None and known in (None, now)


def is_stopped(pid: int) -> bool:
    """Whether it was stopped by a signal (SIGSTOP), not by a debugger."""
    stat = _stat(pid)
    return stat is not None and stat[_STATE] == "T"


def terminate(pid: int, known: str | None, command_part: str) -> bool:
    """Send SIGTERM to that very process; False when it is gone or is another.

    One that was written down without its birth must have ``command_part`` in its command.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_same(pid, known) or (known is None and not _commanded(pid, command_part)):
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        return True
    finally:
        os.close(handle)


def _commanded(pid: int, part: str) -> bool:
    try:
        return part.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
