"""The stack as a user has it: begun with ``tokenmeter up --detach``, asked with the other verbs, by its directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from support.command import COMMAND
from tokenmeter.cli import places
from tokenmeter.cli.settings import load
from tokenmeter.events.errors import TokenmeterError
from tokenmeter.stack.state import PARENT, Part, Stack

UP_TIMEOUT_S = 400.0
VERB_TIMEOUT_S = 1_200.0
PID_TIMEOUT_S = 30.0


class UsersStack:
    """``env`` is added to what its commands are told."""

    def __init__(self, data: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.data, self._options = data, options
        self._env = {**os.environ, **(env or {})}

    def run(self, *arguments: str, timeout_s: float = VERB_TIMEOUT_S) -> tuple[int, str]:
        """(exit code, all it said) of a verb on this stack."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self._env,
            cwd=self.data.parent,
        )
        return done.returncode, done.stdout + done.stderr

    def up(self) -> None:
        """Begin it, also again."""
        code, said = self.run("up", "--detach", *self._options, timeout_s=UP_TIMEOUT_S)
        assert code == 0, said

    def down(self) -> None:
        code, said = self.run("down")
        assert code == 0, said

    @property
    def parts(self) -> dict[str, Part]:
        return Stack.load(self.data).parts

    @property
    def client(self) -> dict[str, Any]:
        """Settings of Kafka's clients, for who may do everything."""
        return places.kafka(load(data=self.data))

    def pid(self, name: str) -> int:
        """Of a part that runs; one that is just being started again is waited for."""
        deadline = time.monotonic() + PID_TIMEOUT_S
        while True:
            try:
                part = self.parts.get(name)
            except TokenmeterError:
                part = None
            if part is not None and part.pid is not None:
                return part.pid
            assert time.monotonic() < deadline, f"{name} does not run: {part and part.said}"
            time.sleep(0.05)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To a part, or to the supervisor."""
        try:
            os.kill(self.pid(name), number)
        except ProcessLookupError:  # it has ended since: whoever wanted it gone, or held, has what it wanted
            return

    def ask(self, query: str, timeout_s: float = 2.0) -> str:
        """What ClickHouse answers. Raises httpx.HTTPError while it does not."""
        part = self.parts["clickhouse"]
        login = (part.user or "", part.password or "")
        given = {"query": query}
        answer = httpx.get(part.url or "", params=given, auth=login, timeout=timeout_s, trust_env=False, verify=False)
        return answer.raise_for_status().text.strip()

    def wait_gone(self) -> None:
        """Until no process of the supervisor's lives; they die with it."""
        pids = [part.pid for part in Stack.load(self.data).parts.values() if part.pid is not None]
        deadline = time.monotonic() + PID_TIMEOUT_S
        while any(psutil.pid_exists(pid) for pid in pids):
            assert time.monotonic() < deadline, f"{pids} outlive their supervisor"
            time.sleep(0.05)

    def held(self) -> dict[str, tuple[float, int]]:
        """By part, (MB of memory, open files) of those that run; without the counters of the kernel, of which
        ClickHouse has three open for each thread of its pool."""
        found = {}
        for name, part in self.parts.items():
            if part.pid is None or name == "boards":
                continue
            try:
                process = psutil.Process(part.pid)
                found[name] = process.memory_info().rss / 2**20, open_files(part.pid)
            except (psutil.Error, OSError):
                continue
        return found


def open_files(pid: int) -> int:
    """Files, sockets and pipes."""
    held = 0
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            held += not str(one.readlink()).startswith("/proc/")
    return held


__all__ = ["PARENT", "UsersStack"]
