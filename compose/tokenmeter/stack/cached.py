"""Data directories of ClickHouse that are made once into the user's cache, and copied: by a new stack, demo or test."""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from clickhouse_connect.driver.client import Client

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.children import Child
from tokenmeter.stack.health import wait_healthy
from tokenmeter.stack.jars import cache_path
from tokenmeter.stack.kafka import free_port
from tokenmeter.stack.state import write_private
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import MIGRATE_TIMEOUT_S, bundled
from tokenmeter.store.users import sha256

ERROR_TAIL_CHARS = 800
_DIGITS = 16


def store_digest(*parts: bytes) -> str:
    """A short hash of the engine's version, all migrations, and ``parts``: another one is another store."""
    checksums = (migration.checksum.encode() for migration in bundled())
    return hashlib.sha256(b"\0".join((version("chdb").encode(), *checksums, *parts))).hexdigest()[:_DIGITS]


def copied(template: Path, folder: Path, family: str, make: Callable[[], None]) -> None:
    """Make ``folder`` a copy of ``template``, for which ``make`` is called if it is not there; one at a time of each
    ``family``. Raises OSError."""
    with _locked(family):
        if not template.exists():
            make()
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(template, partial, symlinks=True)
        partial.rename(folder)


def made_by(module: str, arguments: Sequence[str], what: str, hint: str) -> None:
    """Have ``module`` make its template, in a process of its own: its server must be the child of a main thread, and
    this may run beside one. Raises Fatal with the cause."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True)
    if done.returncode:
        cause = (done.stderr or done.stdout).strip()[-ERROR_TAIL_CHARS:]
        raise Fatal(f"cannot make {what}: {cause}", hint=hint)


def build(template: Path, family: str, stays: str, fill: Callable[[Client], None]) -> None:
    """Make ``template`` in a server of its own, filled; of its ``family`` only names that begin with ``stays`` stay.
    Whoever calls this is alone."""
    with tempfile.TemporaryDirectory(prefix=f"making-{family}", dir=template.parent) as scratch:
        folder, password, port = Path(scratch), secrets.token_urlsafe(18), free_port()
        write_private(folder / "users.json", {"writer": {"password_sha256": sha256(password)}})
        command = [sys.executable, "-m", "tokenmeter.store.server", "--port", str(port), "--niceness", "0"]
        command += ["--data", str(folder / "data"), "--users", str(folder / "users.json")]
        server = Child("clickhouse", command, folder / "clickhouse.log")
        server.start()
        try:
            url = f"http://127.0.0.1:{port}"
            wait_healthy(server, f"{url}/ping")
            fill(connect(url, "writer", password, query_timeout_s=MIGRATE_TIMEOUT_S))
        finally:
            server.stop()
        for old in template.parent.glob(f"{family}*"):
            if old.is_dir() and not old.name.startswith(stays):
                shutil.rmtree(old, ignore_errors=True)
        (folder / "data").rename(template)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    cache_path().mkdir(parents=True, exist_ok=True)
    with (cache_path() / f"{name}template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
