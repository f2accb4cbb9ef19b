"""The local stack's directory is its owner's alone: what is metered, what is kept and every log."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tokenmeter.events.access import USERS_FILE
from tokenmeter.stack.state import FILE, Stack

OTHERS = 0o077
KEPT = ("clickhouse", "kafka", "ledger", "load", "logs", "meter", "superset", "watch", "lock", "ports.json", FILE)
"""What a stack keeps there. A directory may hold other things too; those stay as they are."""


def make_private(folder: Path) -> None:
    """Make ``folder`` if there is none, closed to others, and close what an earlier version left open there.

    Whatever this process and its children make from now on is closed too.
    """
    os.umask(OTHERS)
    ours = not folder.exists() or (folder / FILE).exists() or not any(folder.iterdir())
    folder.mkdir(parents=True, exist_ok=True)
    if ours:
        _close(folder)
    for name in KEPT:
        if _is_open(folder / name):
            for path in _below(folder / name):
                _close(path)


def _below(path: Path) -> Iterator[Path]:
    """The outermost first: from then on nobody comes in any more."""
    yield path
    for at, folders, files in os.walk(path):
        yield from (Path(at, name) for name in (*folders, *files))


def _is_open(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return bool(stat.S_IMODE(path.lstat().st_mode) & OTHERS)
    return False


def _close(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def where_passwords_are(data: Path) -> str:
    """Said by ``up`` and ``status``: files, never what is in them."""
    asks = f" and Kafka's users in {data / USERS_FILE}" if (data / USERS_FILE).exists() else ""
    boards = "Superset and ClickHouse" if "superset" in Stack.load(data).parts else "ClickHouse"
    return f"passwords: {boards} in {data / FILE}{asks}; you alone can read them"
