"""An answer on its way out: its headers, its compression, and what stands in it when the engine fails half-way."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tokenmeter.store.blocks import LZ4, METHODS, compressed_blocks
from tokenmeter.store.engine_error import EngineError, engine_error
from tokenmeter.store.query import Answer
from tokenmeter.store.request import TRUE

ALWAYS = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Server-Display-Name": "tokenmeter"}
PROGRESS_MS, PROGRESS_HEADERS_MAX = 100, 100
"""Headers of progress: one in this time of the query, and no more than a client takes."""
_LINES = frozenset(
    ("tabseparated", "tsv", "tabseparatedraw", "tsvraw", "jsoneachrow", "jsoncompacteachrow", "jsonstringseachrow")
)
"""Formats with one line a row."""
_ROWS_SAID = re.compile(rb'"rows": (\d+)')
_TAIL_BYTES = 1 << 10


@dataclass
class Progress:
    """What the engine told of a query while it ran. HTTP's headers go out once, so they come with the answer."""

    interval_ms: float = PROGRESS_MS
    headers: list[str] = field(default_factory=list)
    _last_ns: float = -1e18

    def __call__(self, told: dict[str, int]) -> None:
        if told["elapsed_ns"] - self._last_ns < self.interval_ms * 1e6 or len(self.headers) == PROGRESS_HEADERS_MAX:
            return
        self._last_ns = told["elapsed_ns"]
        self.headers.append(json.dumps({name: str(value) for name, value in told.items()}))


def summary(answer: Answer, began: float, whole: bytes | None) -> str:
    """``X-ClickHouse-Summary``. The rows of an answer are said where its format shows them."""
    figures = {
        "read_rows": answer.rows_read,
        "read_bytes": answer.bytes_read,
        "written_rows": answer.rows_written,
        "written_bytes": answer.bytes_written,
        "total_rows_to_read": answer.rows_read,
    }
    rows = None if whole is None else answer.rows_written or rows_in(whole, answer.format)
    if rows is not None and whole is not None:
        figures |= {"result_rows": rows, "result_bytes": len(whole)}
    figures["elapsed_ns"] = int((time.monotonic() - began) * 1e9)
    return json.dumps({name: str(value) for name, value in figures.items()})


def rows_in(whole: bytes, form: str) -> int | None:
    """How many rows a whole answer has; None where its format does not show it."""
    if not whole:
        return 0
    if form.lower() in _LINES:
        return whole.count(b"\n")
    said = _ROWS_SAID.findall(whole[-_TAIL_BYTES:]) if form.lower().startswith("json") else []
    return int(said[-1]) if said else None


def in_blocks(pieces: Iterator[bytes], url: Mapping[str, str]) -> Iterator[bytes]:
    """As ClickHouse's own blocks when the client wants them (``compress=1``)."""
    if url.get("compress") not in TRUE:
        return pieces
    return compressed_blocks(pieces, METHODS.get(url.get("network_compression_method", "").lower(), LZ4))


def telling_errors(pieces: Iterator[bytes], tag: str) -> Iterator[bytes]:
    """A streamed answer: what ends it early is written into it, as clients look for it, before the connection ends."""
    try:
        yield from pieces
    except (RuntimeError, EngineError) as error:
        told = error if isinstance(error, EngineError) else engine_error(error)
        message = told.message.encode()
        yield b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n" % (
            *(tag.encode(), message),
            *(len(message) + 1, tag.encode()),
        )
        raise told from error
