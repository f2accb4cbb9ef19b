"""The command as a user runs it, and what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "tokenmeter.cli.app"]
TIMEOUT_S = 300.0
"""A whole stack starts within it, also where the machine is busy."""


def run(arguments: list[str], cwd: Path | None = None, **setting: str) -> tuple[int, str]:
    """(exit code, all it said)."""
    env = {**os.environ, **setting}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, env=env, cwd=cwd)
    return done.returncode, (done.stdout + done.stderr).replace("\n", " ")


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found
