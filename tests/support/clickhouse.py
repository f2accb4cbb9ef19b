"""The embedded ClickHouse server as a real child process."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tokenmeter.stack.children import Child
from tokenmeter.stack.empty_store import begin
from tokenmeter.stack.kafka import free_port
from tokenmeter.store.users import sha256

START_TIMEOUT_S = 30.0


class Server:
    """Users: ``writer`` / ``secret`` and ``reader`` / ``look``, who reads the databases ``reads``."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, reads: Sequence[str] = ("boards",)) -> None:
        users = folder / "users.json"
        writer, reader = (
            {"password_sha256": sha256("secret")},
            {"password_sha256": sha256("look"), "readonly": True, "databases": list(reads)},
        )
        users.write_text(json.dumps({"writer": writer, "reader": reader}))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.data = folder / "data"
        command = [sys.executable, "-m", "tokenmeter.store.server", "--port", str(port)]
        # In a test nothing else is more urgent: on a busy machine one that stands back takes a second a request.
        command += ["--data", str(self.data), "--users", str(users), "--niceness", "0"]
        self.child = Child("clickhouse", command, folder / "clickhouse.log", dict(env or {}))

    def start(self) -> None:
        self.child.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                httpx.get(f"{self.url}/ping", verify=False).raise_for_status()
                return
            except httpx.HTTPError:
                assert self.child.is_alive(), self.child.log_tail()
                assert time.monotonic() < deadline
                time.sleep(0.05)


@contextmanager
def migrated(
    folder: Path, reads: Sequence[str] = ("boards",), env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server that has every table, and is killed at the end."""
    server = Server(folder, env, reads)
    if server.data.exists():  # it may be a disk of its own
        begin(folder / "empty")
        shutil.copytree(folder / "empty", server.data, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(folder / "empty")
    else:
        begin(server.data)
    try:
        server.start()
        yield server
    finally:
        server.child.kill()
