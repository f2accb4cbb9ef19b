"""Splits a server-sent event stream as it passes, byte for byte, and reads the JSON of each event. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

EVENT_BYTES_MAX = 16 << 20
"""An event larger than this is passed on unread."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_END_BYTES_MAX = 4


class EventSplitter:
    """``feed`` bytes as they come; each event comes out whole, with its separator, once it is complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        begin = 0
        # A separator may have come in two pieces; what lies before was searched already.
        for end in _END.finditer(self._rest, max(0, self._searched - _END_BYTES_MAX)):
            yield bytes(self._rest[begin : end.end()])
            begin = end.end()
        del self._rest[:begin]
        self._searched = len(self._rest)
        if len(self._rest) > EVENT_BYTES_MAX:
            yield self.rest()

    def rest(self) -> bytes:
        """What came after the last separator; it is let go."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._searched = 0
        return rest


def payload(event: bytes) -> Any:
    """The JSON that an event carries, or None: a comment, ``[DONE]``, or no JSON."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    if not lines:
        return None
    try:
        return json.loads(b"\n".join(lines))
    except ValueError:
        return None
