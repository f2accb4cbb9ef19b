"""OpenAI's background responses: created now, answered when somebody asks for them later.

what passes                                 the call
POST /responses {background}, queued        stays open, under the response's id
its stream, cut before the end              stays open: the provider goes on, and bills
GET /responses/ID, still under way          stays open
GET /responses/ID or POST .../cancel, over  ends: one event, also if what is fetched is its stream
GET of what this client did not create      one event if it was a background response and is over, else none: a
                                            response that was created in the foreground was metered there

Whoever fetches such a response makes the same event: its id comes from the response's, its times are the provider's. So
a response that is fetched twice, or created in one process and fetched in another, counts once. One that nobody fetches
is counted as lost, not guessed. https://platform.openai.com/docs/guides/background
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tokenmeter.emit.integrations.call import OK, Call, failure_of
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.errors import Poison

WAITING_MAX = 10_000
"""Background responses that are waited for, beyond which the oldest is given up; and that are remembered once over."""
_PATH = re.compile(r"/responses/([^/?]+)(/cancel)?/?$")
_UNDER_WAY = ("queued", "in_progress")
_NAMESPACE = uuid.UUID("5d3b1f0c-8a57-4a3e-9d5c-6f2a1f4f7c11")
"""Ours, for event ids of responses."""


def response_id(path: str) -> str | None:
    """Which response ``path`` fetches or cancels; None where it does neither."""
    found = _PATH.search(path)
    return found[1] if found else None


class BackgroundResponses:
    """Those of one client and its copies. Thread-safe."""

    def __init__(self) -> None:
        # Reentrant: a stream that is let go may come here from a finalizer.
        self._lock = threading.RLock()
        self._waiting: OrderedDict[str, Call] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()

    def created(self, call: Call, response: Any) -> None:
        """End ``call`` with ``response``, or let it wait if the answer is only promised."""
        told = Reader("openai", response)
        identity = told.text("id")
        if identity is None or told.get("background") is not True:
            call.done(response)
        elif told.text("status") in _UNDER_WAY:
            self.keep(identity, call)
        else:
            self.fetched(lambda model: call, response)

    def keep(self, identity: str, call: Call) -> None:
        """Let ``call`` wait until somebody fetches its response."""
        call.waits(Poison("usage_missing", "a background response was never fetched"))
        with self._lock:
            self._waiting[identity] = call
            given_up = self._waiting.popitem(last=False)[1] if len(self._waiting) > WAITING_MAX else None
        if given_up is not None:
            given_up.cancel()

    def resumed(self, identity: str) -> Call | None:
        """The call whose response is streamed again; it waits no more."""
        with self._lock:
            call = self._waiting.pop(identity, None)
        if call is not None:
            call.waits(None)
        return call

    def fetched(self, begin: Callable[[str | None], Call], response: Any) -> None:
        """End the call of ``response`` if it is over; ``begin`` makes one, of a model, if it was created elsewhere."""
        told = Reader("openai", response)
        identity, status = told.text("id"), told.text("status")
        if identity is None or status is None or status in _UNDER_WAY:
            return
        with self._lock:
            call = self._waiting.pop(identity, None)
        if not self.finish(identity) or (call is None and told.get("background") is not True):
            return
        call = call or begin(told.text("model"))
        date(call, told, identity)
        if status == "cancelled":
            call.cancelled(response)
        elif failure_of(response) is None and told.get("usage") is None:
            call.abandoned(Poison("usage_missing", f"a background response that is {status} tells no usage"))
        else:
            call.done(response)

    def finish(self, identity: str) -> bool:
        """Whether this response was not over before; it is now."""
        with self._lock:
            if identity in self._over:
                return False
            self._over[identity] = None
            if len(self._over) > WAITING_MAX:
                self._over.popitem(last=False)
        return True


class BackgroundCall(Call):
    """A call whose response was asked for in the background, streamed or not: when its caller lets go, it goes on."""

    __slots__ = ("_responses",)

    def __init__(self, responses: BackgroundResponses, *arguments: Any, **fields: Any) -> None:
        self._responses = responses
        super().__init__(*arguments, **fields)

    def ended(self, status: int = OK) -> None:
        told = Reader("openai", self._last).part_or_none("response")
        identity = self._seen.get("id")
        if told is None or identity is None or told.text("status") in _UNDER_WAY:
            self.left()
        elif self._responses.finish(identity):
            date(self, told, identity)
            super().ended(status)
        else:
            self.dropped()

    def failed(self, error: BaseException) -> None:
        if not self._goes_on():
            super().failed(error)

    def left(self) -> None:
        if not self._goes_on():
            super().left()

    def collected(self) -> None:
        if not self._goes_on():
            super().collected()

    def _goes_on(self) -> bool:
        """Whether the response has been seen to begin, so that it waits for whoever fetches it."""
        identity = self._seen.get("id")
        if identity is None or not self._meter.is_open(self):
            return False
        if self._unanswered is None:
            self._responses.keep(identity, self)
        return True


def date(call: Call, response: Reader, identity: str) -> None:
    """Give the event the id and the times that everybody gives it who sees this response."""
    call.happened(str(uuid.uuid5(_NAMESPACE, identity)), _time(response, "created_at"), _time(response, "completed_at"))


def _time(response: Reader, name: str) -> datetime | None:
    told = response.get(name)
    return datetime.fromtimestamp(told, UTC) if isinstance(told, int | float) else None
