"""What the engine said, and the HTTP status ClickHouse answers it with."""

from __future__ import annotations

import re

_BAD_REQUEST = frozenset(
    (6, 26, 27, 33, 36, 38, 41, 43, 44, 53, 62, 69, 70, 72, 117, 130, 131, 372, 373, 386, 441, 456, 457)
)
_NOT_FOUND = frozenset((46, 47, 50, 56, 60, 81, 82, 115))
_FORBIDDEN = frozenset((192, 193, 497, 516))
_STATUS = {159: 408, 209: 408, 210: 408, 48: 501, 158: 413, 164: 403, 241: 503, 202: 503, 203: 503}
UNKNOWN = 1000
STD_EXCEPTION = 1001
"""ClickHouse's code for an error that is none of its own."""


class EngineError(Exception):
    """What the engine said, with ClickHouse's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        if self.code in _BAD_REQUEST:
            return 400
        if self.code in _NOT_FOUND:
            return 404
        if self.code in _FORBIDDEN:
            return 403
        if self.code in (UNKNOWN, STD_EXCEPTION):
            return 503  # a connection to the engine that failed, say: clients ask once more
        return _STATUS.get(self.code, 500)


def engine_error(error: RuntimeError) -> EngineError:
    """The engine's own error, which chDB raises as text."""
    text = str(error).removeprefix("Streaming query failed: ")
    found = re.search(r"Code: (\d+)", text)
    return EngineError(int(found.group(1)) if found else UNKNOWN, text)
