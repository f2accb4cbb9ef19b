"""OpenAI's background responses: created now, answered when somebody asks for them later.

what passes                                 the call
POST /responses {background}, queued        stays open, under the response's id
GET /responses/ID, still under way          stays open
GET /responses/ID or POST .../cancel, over  ends: one event
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

from tokenmeter.emit.hosts.call import Call, failure_of
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
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Call] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()

    def created(self, call: Call, response: Any) -> None:
        """End ``call`` with ``response``, or let it wait if the answer is only promised."""
        told = Reader("openai", response)
        identity = told.text("id")
        if identity is None or told.get("background") is not True or told.text("status") not in _UNDER_WAY:
            call.done(response)
            return
        call.waits(Poison("usage_missing", "a background response was never fetched"))
        with self._lock:
            self._waiting[identity] = call
            given_up = self._waiting.popitem(last=False)[1] if len(self._waiting) > WAITING_MAX else None
        if given_up is not None:
            given_up.cancel()

    def fetched(self, begin: Callable[[str | None], Call], response: Any) -> None:
        """End the call of ``response`` if it is over; ``begin`` makes one, of a model, if it was created elsewhere."""
        told = Reader("openai", response)
        identity, status = told.text("id"), told.text("status")
        if identity is None or status is None or status in _UNDER_WAY:
            return
        with self._lock:
            call = self._waiting.pop(identity, None)
            known = identity in self._over
            if call is not None or (told.get("background") is True and not known):
                self._over[identity] = None
                if len(self._over) > WAITING_MAX:
                    self._over.popitem(last=False)
            else:
                return
        call = call or begin(told.text("model"))
        call.happened(str(uuid.uuid5(_NAMESPACE, identity)), _time(told, "created_at"), _time(told, "completed_at"))
        if status == "cancelled":
            call.cancelled(response)
        elif failure_of(response) is None and told.get("usage") is None:
            call.abandoned(Poison("usage_missing", f"a background response that is {status} tells no usage"))
        else:
            call.done(response)


def _time(response: Reader, name: str) -> datetime | None:
    told = response.get(name)
    return datetime.fromtimestamp(told, UTC) if isinstance(told, int | float) else None
