"""A small disk of its own, to be filled: a tmpfs, which takes a superuser to mount. Nobody else's is touched."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_MB = 1_500
FILLER = "filler"
CHUNK = bytes(1 << 20)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount one on ``folder``; whether that could be done."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> int:
    """Write until nothing more goes in; the bytes that did."""
    written = 0
    handle = os.open(folder / FILLER, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        chunk = CHUNK
        while chunk:
            try:
                written += os.write(handle, chunk)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                chunk = chunk[: len(chunk) // 2]
    finally:
        os.close(handle)
    return written


def free(folder: Path) -> None:
    """Make room again."""
    (folder / FILLER).unlink(missing_ok=True)
