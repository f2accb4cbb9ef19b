"""Stores that are made once and copied: what their names are made of, and who may make them just now."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tokenmeter.stack.jars import cache_path
from tokenmeter.store.migrate import bundled

_DIGITS = 16


def store_digest(*parts: bytes) -> str:
    """A short hash of the engine's version, all migrations, and ``parts``: another one is another store."""
    checksums = (migration.checksum.encode() for migration in bundled())
    return hashlib.sha256(b"\0".join((version("chdb").encode(), *checksums, *parts))).hexdigest()[:_DIGITS]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Alone on this machine to look for what is called ``name`` in the cache, and to make it."""
    cache_path().mkdir(parents=True, exist_ok=True)
    with (cache_path() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
