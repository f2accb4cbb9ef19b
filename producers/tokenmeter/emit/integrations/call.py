"""One model call as a host sees it: it begins, may stream, and ends once. Never raises into the caller.

state      on              becomes
open       chunk           open, its usage folded in
open       done, ended     ended: one event
open       failed          ended: one event with status and error_class
open       cancel          ended: one event with cancelled and the usage so far
open       waits           open: its answer comes with another request; cancel then counts it as lost
ended      anything        ended: nothing

An answer of status 200 may say that the call failed (a response whose status is ``failed``): that is an event with
error_class, and with the usage it tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tokenmeter.emit.integrations.meter import Ended, Meter
from tokenmeter.emit.integrations.text_chunks import is_chat, only_text
from tokenmeter.emit.usage import Usage, fold, normalise
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.errors import Poison
from tokenmeter.events.models import Operation

OK = 200
NO_ANSWER = 502
"""Status of a call whose upstream could not be reached, as a gateway would answer."""
TIMED_OUT = 504
"""Status of a call that nobody answered in time."""
UNREAD_MAX = 16
"""Chunks of a stream that are kept until they are read."""
UNSEEN = "usage_unseen"
"""error_class of a cancelled stream of which no usage was seen: its tokens are unknown, not none."""

_CLASSES = {400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 408: "timeout"}
_CLASSES |= {413: "too_large", 422: "invalid_request", 429: "rate_limited", TIMED_OUT: "timeout"}


_FAILURES = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "invalid_image": 400}
"""The HTTP status that the code of a failed response would have; of every other code it is 500."""


def failure_of(response: Any) -> int | None:
    """The status of a call whose answer, an OpenAI response, says of itself that it failed; None where it did not."""
    told = Reader("openai", response)
    if told.text("status") != "failed":
        return None
    error = told.part_or_none("error")
    return _FAILURES.get((error.text("code") if error else None) or "", 500)


def error_class(status: int) -> str | None:
    """A stable word for an HTTP status; None where it is no error."""
    if status < 400:
        return None
    return _CLASSES.get(status) or ("upstream" if status >= 500 else "invalid_request")


def status_of(error: BaseException) -> int:
    """The HTTP status behind a client's exception, by the names that clients share."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 100 <= status < 600:
        return status
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return TIMED_OUT
    return NO_ANSWER


class Call:
    """``provider`` is the family whose shape the answer has; ``name`` is the event's provider, if it is another.

    ``fields`` are further fields of the event. It may end in another thread or task than it began in.
    """

    __slots__ = (
        "_began",
        "_began_at",
        "_fields",
        "_first",
        "_fold_error",
        "_last",
        "_meter",
        "_name",
        "_provider",
        "_seen",
        "_unanswered",
        "_unread",
    )

    def __init__(
        self,
        meter: Meter,
        provider: str,
        operation: Operation,
        requested_model: str | None,
        *,
        name: str | None = None,
        streamed: bool = False,
        **fields: Any,
    ) -> None:
        self._meter = meter
        self._provider = provider
        self._name = name or provider
        self._fields: dict[str, Any] = meter.attributes()
        if fields:
            self._fields.update(fields)
        self._fields.update(operation=operation, requested_model=requested_model, streamed=streamed)
        self._seen: dict[str, Any] = {}
        self._unread: list[Any] = []
        self._fold_error: Poison | None = None
        self._first: float | None = None
        self._last: Any = None
        self._unanswered: Poison | None = None
        self._began_at = datetime.now(UTC)
        self._began = time.perf_counter()
        meter.opened(self)

    def chunk(self, chunk: Any) -> None:
        """A part of a streamed answer arrived."""
        if self._first is None:
            self._first = time.perf_counter()
        elif only_text(chunk, self._last):
            return
        self._last = chunk
        self._unread.append(chunk)
        # What a chat stream says besides its text is little, and is read when the call has ended and nobody waits.
        if len(self._unread) >= UNREAD_MAX or not is_chat(chunk):
            self._fold()

    def _fold(self) -> None:
        unread, self._unread = self._unread, []
        for chunk in unread:
            try:
                fold(self._provider, self._seen, chunk)
            except Poison as error:
                self._fold_error = error
            except Exception as error:
                kind = type(error).__name__
                self._fold_error = Poison("usage_shape", f"a chunk of {self._provider} raised {kind}")

    def done(self, response: Any, status: int = OK) -> None:
        """The whole answer is there."""
        failure = self._failure(lambda: response)
        if failure is None:
            self._end(lambda: normalise(self._provider, response), status=status)
        else:
            self._end(lambda: self._told(response), status=failure, error_class=error_class(failure))

    def ended(self, status: int = OK) -> None:
        """The stream came to its end."""
        failure = self._failure(lambda: Reader("openai", self._last).get("response"))
        if failure is None:
            self._end(self._gathered, status=status)
        else:
            self.refused(failure)

    def _failure(self, response: Callable[[], Any]) -> int | None:
        if self._fields["operation"] is not Operation.RESPONSE:
            return None
        try:
            return failure_of(response())
        except Exception:
            return None  # what is odd about the answer is said by whoever reads it next

    def waits(self, unanswered: Poison | None) -> None:
        """Its answer comes with another request. If none comes before cancel(), it is lost for the reason given; None:
        it is being answered."""
        self._unanswered = unanswered

    def dropped(self) -> None:
        """It turned out to be no call of its own: what it tells was metered already."""
        self._claim()

    def happened(self, event_id: str, began: datetime | None, ended: datetime | None) -> None:
        """What the provider says of when the call was, and the id that every event of it has."""
        occurred_at = ended or began
        self._fields["event_id"] = event_id
        if began is not None and occurred_at is not None:
            self._fields.update(started_at=began, occurred_at=occurred_at)
            self._fields["duration_ms"] = round((occurred_at - began) / timedelta(milliseconds=1)) if ended else None

    def cancelled(self, response: Any) -> None:
        """The provider stopped at the caller's wish; ``response`` tells what was used until then, if anything."""
        self._end(lambda: self._told(response), status=OK, cancelled=True)

    def failed(self, error: BaseException) -> None:
        """The call raised. What was streamed before counts; a caller's own interrupt is a cancellation."""
        if isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit | asyncio.CancelledError):
            self.left()
        else:
            self.refused(status_of(error))

    def refused(self, status: int) -> None:
        """The upstream answered with an error, or not at all."""
        self._end(self._so_far, status=status, error_class=error_class(status) or "upstream")

    def cancel(self) -> None:
        """The caller went away before the end, or the meter does."""
        if self._unanswered is not None:
            self.abandoned(self._unanswered)
            return
        self._end(self._so_far, status=OK, cancelled=True)

    def left(self) -> None:
        """The caller closed a stream that was not at its end."""
        self.cancel()

    def collected(self) -> None:
        """The caller let go of a stream: as cancel(), in a finalizer."""
        self._end(self._so_far, collected=True, status=OK, cancelled=True)

    def abandoned(self, error: BaseException) -> None:
        """It ended in a way that tells nothing of its usage."""
        if self._claim():
            self._meter.lose(error)

    def _gathered(self) -> Usage:
        self._fold()
        if self._fold_error is not None:
            raise self._fold_error
        return normalise(self._provider, self._seen)

    def _so_far(self) -> Usage:
        try:
            return self._gathered()
        except Poison:
            return self._unseen(_text(self._seen.get("model")), _text(self._seen.get("id")))

    def _told(self, response: Any) -> Usage:
        try:
            return normalise(self._provider, response)
        except Poison:
            told = Reader(self._provider, response)
            return self._unseen(told.text("model"), told.text("id"))

    def _unseen(self, model: str | None, upstream_id: str | None) -> Usage:
        # Nothing was told: the event says that a call was made, and its error_class why there is no more.
        self._fields.setdefault("error_class", UNSEEN)
        return Usage(model=model, upstream_id=upstream_id)

    def _claim(self) -> bool:
        """Whether the call was open; it is ended now."""
        return self._meter.ended(self)

    def _end(self, read: Callable[[], Usage], *, collected: bool = False, **fields: Any) -> None:
        if not self._claim():
            return
        read_later = partial(self._finished, read, time.perf_counter() - self._began, fields)
        self._meter.record(Ended(self._fields, read_later, self._name), collected=collected)

    def _finished(self, read: Callable[[], Usage], duration_s: float, fields: dict[str, Any]) -> Usage:
        """The usage of the call, and the rest of its fields; where nobody waits for it, if the meter is so."""
        mine = self._fields
        mine.update(fields)
        mine.setdefault("started_at", self._began_at)
        # The wall clock is read once: an interval between two readings may be negative.
        mine.setdefault("occurred_at", self._began_at + timedelta(seconds=duration_s))
        mine.setdefault("duration_ms", round(duration_s * 1000))
        if self._first is not None:
            mine.setdefault("latency_ms", round((self._first - self._began) * 1000))
        return read()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
