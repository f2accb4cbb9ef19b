"""A child that is forked from a process which has imported all it needs: a worker's imports cost more than its start.

It is a process of its own as any other, with its own environment, session and log. The server it is forked from has
used nothing of what it imported: its threads are its allocators' and OpenBLAS's, which begin theirs anew.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tokenmeter.stack.children import Child, die_with_parent

Main = Callable[[Path], None]
"""What the child does with the file that says what to do."""


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.worker_main"])
    return context


def _run(main: Main, spec: Path, log: Path, env: Mapping[str, str]) -> None:
    die_with_parent()
    os.setsid()
    with log.open("ab") as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    gc.freeze()  # what was imported is the server's: to walk it would copy its pages
    main(spec)


class _Process:
    """The part of a subprocess.Popen that a Child uses."""

    def __init__(self, process: BaseProcess) -> None:
        process.start()
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self.pid is not None:
            with suppress(ProcessLookupError):  # its parent, the server, has waited for it already
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedChild(Child):
    """``main(spec)`` in a process of its own, as a Child."""

    def __init__(self, name: str, main: Main, spec: Path, log: Path) -> None:
        super().__init__(name, [], log)
        self._main, self._spec = main, spec

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()  # whoever looks at it need not wait for the fork
        told = self._main, self._spec, self.log, dict(os.environ)
        process: Any = _Process(_context().Process(target=_run, args=told, name=self.name, daemon=True))
        self._process = process
