"""Reads an answer as its bytes pass: a stream of events, or one JSON document. The caller gets the same bytes."""

from __future__ import annotations

import json

from tokenmeter.emit.integrations.call import Call
from tokenmeter.emit.integrations.server_events import EventSplitter, payload
from tokenmeter.events.errors import Poison

ANSWER_BYTES_MAX = 64 << 20
"""A document larger than this is passed on unread: its call is counted as lost."""
EVENTS_TYPE = "text/event-stream"
_OVER = b"[DONE]"


class Tap:
    """``content_type`` is that of the answer; ``status`` its HTTP status. ``reading``: somebody reads it through us;
    ``complete``: the stream has said that it is over, whether or not anybody reads on."""

    def __init__(self, call: Call, content_type: str, status: int) -> None:
        self._call = call
        self._status = status
        self._events = EventSplitter() if content_type.lower().startswith(EVENTS_TYPE) else None
        self._document = bytearray()
        # Sound and images are passed on unread.
        self._unread = None if "json" in content_type.lower() or self._events else f"an answer of type {content_type}"
        self.reading = self.complete = False

    def feed(self, data: bytes) -> None:
        """Bytes passed."""
        if self._events is not None:
            for event in self._events.feed(data):
                self.event(event)
        elif not self._unread and self._status < 400:
            self._document += data
            if len(self._document) > ANSWER_BYTES_MAX:
                self._unread = f"an answer of more than {ANSWER_BYTES_MAX} bytes"
                self._document.clear()

    def event(self, event: bytes) -> object:
        """One whole event passed; its payload, or None."""
        found = payload(event)
        if found is not None:
            self._call.chunk(found)
        elif _OVER in event:
            self.complete = True
        return found

    def end(self) -> None:
        """The answer is complete."""
        if self._status >= 400:
            self._call.refused(self._status)
        elif self._events is not None:
            self.event(self._events.rest())
            self._call.ended(self._status)
        elif self._unread:
            self._call.abandoned(Poison("usage_missing", f"{self._unread} is passed on unread"))
        else:
            try:
                document = json.loads(self._document)
            except ValueError:
                self._call.abandoned(Poison("usage_shape", "an answer is no JSON document"))
            else:
                self._call.done(document, self._status)
