"""An insert's data as a file that only this process can open, for the engine to read."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

HELD_BYTES_MAX = 16 << 20
"""More waits in a file that has no name."""
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Data:
    """``first``, then what is left to be read of ``rest``."""

    first: bytes
    rest: IO[bytes] = field(default_factory=io.BytesIO)

    @property
    def size(self) -> int:
        at = self.rest.tell()
        end = self.rest.seek(0, os.SEEK_END)
        self.rest.seek(at)
        return len(self.first) + end - at


@contextmanager
def held(data: Data) -> Iterator[str]:
    """Where the whole of it can be read from its beginning. It is gone afterwards."""
    with _file(data.size) as file:
        file.write(data.first)
        shutil.copyfileobj(data.rest, file, PIECE_BYTES)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _file(size: int) -> IO[bytes]:
    if size > HELD_BYTES_MAX:
        return tempfile.TemporaryFile()
    return os.fdopen(os.memfd_create("insert"), "w+b")
