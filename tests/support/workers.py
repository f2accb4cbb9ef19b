"""Workers as real processes that a test can break, stop and continue."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx

from support.broker import eventually
from support.forked import ForkedChild
from support.worker_main import Spec
from support.worker_main import main as worker_main
from tokenmeter.stack.kafka import free_port

TESTS = Path(__file__).parents[1]


class WorkerProcess:
    """One meter, loader or ledger; ``spec`` as in support.worker_main, without port and folder."""

    def __init__(self, folder: Path, name: str, kind: str, bootstrap: str, **spec: Any) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        path = folder / f"{name}.json"
        made = Spec(kind=kind, bootstrap=bootstrap, port=self.port, work_dir=folder / name, **spec)  # type: ignore[arg-type]
        path.write_bytes(made.as_json())
        self.child = ForkedChild(name, worker_main, path, self.log)
        self.child.start()

    def health(self) -> dict[str, Any] | None:
        """What /health says, or None while nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.port}/health"
            found: dict[str, Any] = httpx.get(url, timeout=2, verify=False).json()  # no certificates to read each time
            return found
        except (httpx.HTTPError, ValueError):
            return None

    def owned(self) -> set[int]:
        """Partitions it has taken."""
        return {owner["partition"] for owner in (self.health() or {"partitions": []})["partitions"]}

    def wait_ended(self, timeout_s: float = 60.0) -> int | None:
        """Its exit code (negative: the signal)."""
        eventually(f"{self.name} ends; log: {self.child.log_tail()}", lambda: not self.child.is_alive(), timeout_s)
        return self.child.returncode

    def is_stopped(self) -> bool:
        """Whether the kernel holds it (SIGSTOP)."""
        return "State:\tT" in Path(f"/proc/{self.child.pid}/status").read_text()

    def resume(self) -> None:
        self.child.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.child.kill()
