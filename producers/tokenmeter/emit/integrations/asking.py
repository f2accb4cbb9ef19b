"""Decides whether a stream may be asked for its usage, and learns from servers that refuse to be asked. Pure.

A caller's request may get ``stream_options.include_usage`` from us. Most servers take it or ignore what they do not
know; some refuse the whole request (Mistral with 422, Azure with an old api-version with 400). So what we add is never
the reason why a call fails: the refused request is made again exactly as its caller wrote it, and if that is answered,
whoever refused is not asked again. One place may take it for one model and refuse it for another (Azure, a LiteLLM
proxy), so what is remembered has both.

what the memory knows   asked?   a 400 or 422, or any error that names what we added
nothing                 yes      made again as written; answered then: remembered as refusing
it took it              yes      made again as written only where the error names what we added
it refuses              no       the caller's own
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

ADDED = "stream_options"
ASKED: dict[str, Any] = {"include_usage": True}
_NAMES = (ADDED, *ASKED)
PLACES_MAX = 1_000
"""Servers and models that are remembered; a forgotten one is asked once more."""
_REFUSALS = (400, 422)
"""How servers answer a field that they do not know."""


class Places:
    """What servers did when they were asked for usage. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._takes: OrderedDict[Hashable, bool] = OrderedDict()

    def question(self, place: Hashable) -> Question | None:
        """The question to put to ``place`` now; None where it is known to refuse."""
        return None if self._takes.get(place) is False else Question(self, place)

    def took(self, place: Hashable) -> bool:
        return self._takes.get(place) is True

    def learn(self, place: Hashable, takes: bool) -> None:
        if self._takes.get(place) is takes:
            return
        with self._lock:
            self._takes[place] = takes
            while len(self._takes) > PLACES_MAX:
                self._takes.popitem(last=False)


class Question(NamedTuple):
    """One request that asks for usage although its caller does not."""

    places: Places
    place: Hashable

    def refused_by(self, status: int | None, told: str) -> bool:
        """Whether an error answer may be due to what we added: then the request is to be made again as written."""
        if any(name in told for name in _NAMES):
            return True
        return status in _REFUSALS and not self.places.took(self.place)

    def taken(self) -> None:
        """The request that asks was answered."""
        self.places.learn(self.place, True)

    def needless(self) -> None:
        """The request that asks was refused, and the same request without asking was answered."""
        self.places.learn(self.place, False)


def asking(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """``body`` that asks for usage as well; None where its caller said himself whether he wants it."""
    said = body.get(ADDED)
    if said is None or not isinstance(said, Mapping):
        return {**body, ADDED: dict(ASKED)}
    return None if "include_usage" in said else {**body, ADDED: {**said, **ASKED}}
