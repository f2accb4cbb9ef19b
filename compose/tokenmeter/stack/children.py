"""A child process with a log file, that cannot outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenmeter.events.errors import Fatal

STOP_TIMEOUT_S = 20.0
LOG_TAIL_BYTES = 800
LINE_TAIL_BYTES = 16 << 10
"""A JVM's stack is long, and why it ended stands above it."""
_SAYS_NOTHING = ("at ", "WARNING: ")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Runs in the child, before it does anything: the kernel kills it when the parent ends, however the parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process; its output goes to ``log``. Start it from the main thread: the kernel's rule is per thread."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._command = list(command)
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. Raises Fatal naming the program or the log that cannot be used."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=self._env,
                    preexec_fn=die_with_parent,
                    start_new_session=True,
                )
        except OSError as error:
            raise Fatal(
                f"cannot start {self.name}: {error}", hint="free disk space or mend the path, then try again"
            ) from error

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end, then make it."""
        self.signal(signal.SIGTERM)
        self.wait(timeout_s)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait(STOP_TIMEOUT_S)

    def wait(self, timeout_s: float) -> None:
        """Until it has ended; killed when it has not after ``timeout_s``."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self, most_bytes: int = LOG_TAIL_BYTES) -> str:
        """The end of its log, for an error message."""
        try:
            with self.log.open("rb") as written:
                written.seek(max(0, self.log.stat().st_size - most_bytes))
                return written.read().decode(errors="replace").strip()
        except OSError:
            return "(no log)"

    def last_line(self) -> str:
        """The last line of its log that says something: no frame of a stack, and no warning of the JVM's own."""
        lines = [line.strip() for line in self.log_tail(LINE_TAIL_BYTES).splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(_SAYS_NOTHING)]
        return [*(lines[-1:] or ["(an empty log)"]), *telling][-1]


def stop_together(children: Sequence[Child], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Ask all to end, then make those that have not after ``timeout_s``: many take no longer than one."""
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.wait(deadline - time.monotonic())
