"""The one thing every drop-in needs: a call begins, and once it has ended there is one event of it.

    with Emitter(..., spool=DIR) as emitter, Meter(emitter, customer_id="acme") as meter:
        with meter.attributed(customer_id="umbrella", project_id="p1"):
            ...

Nothing here raises into the caller, and by default the caller waits for nothing: the event is made and emitted by a
thread of the meter's own. With an Emitter that has a spool it is on disk some milliseconds after the call; a process
that is killed within them has lost it, one that ends has not. With ``background=False`` it is emitted before the caller
goes on. What cannot be made into an event, or is refused by the emitter, is counted (``stats.lost``) and logged by its
reason alone.
"""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from pydantic import ValidationError

from tokenmeter.emit.integrations.background import Background
from tokenmeter.emit.integrations.ids import event_id
from tokenmeter.emit.model_names import event_model
from tokenmeter.emit.provider_names import provider_name
from tokenmeter.emit.usage import Usage
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Misconfigured, Poison, TokenmeterError

log = logging.getLogger("tokenmeter.meter")

ATTRIBUTES: tuple[str, ...] = (
    "customer_id",
    "project_id",
    "api_key_id",
    "end_user_id",
    "app_id",
    "session_id",
    "country",
    "region",
    "request_id",
    "variant",
    "endpoint_id",
    "router",
    "task",
    "tags",
    "byok",
)
"""The fields of an event that say for whom a call was made, and why: what a caller may set."""


class Sink(Protocol):
    """Where events go: the Emitter, or a list in a test."""

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        """Take them in order, or raise; then some may have been taken. Taking one again must do no harm."""


@dataclass(frozen=True)
class MeterStats:
    """Events handed to the sink; calls of which there is no event, by reason; calls that have not ended; calls that
    have ended and wait to be made into events; odd or unknown figures of those metered, by field."""

    metered: int
    lost: Mapping[str, int]
    open: int
    waiting: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)


class Ended(NamedTuple):
    """A call that has ended. ``fields``: those of UsageEvent but the quantities. ``usage`` is read or made by a call,
    which may raise. ``provider`` names who served, where the usage does not."""

    fields: Mapping[str, Any]
    usage: Callable[[], Usage]
    provider: str


_attributes: ContextVar[Mapping[str, Any] | None] = ContextVar("tokenmeter_attributes", default=None)

CLOSE_TIMEOUT_S = 10.0
NOTE_TAG = "usage_note:"
"""Begins an event's tag that names a figure of it that is odd or unknown (``usage_note:input_tokens``)."""
_RULE = re.compile(r"Value error, (\w+): ")
"""How a rule of accept that an event breaks is told by the model."""

Naming = Callable[[str, str], str]


class Meter:
    """Thread-safe. ``attributes`` are the ATTRIBUTES of every call unless attributed() says otherwise.

    ``naming`` makes the event's model of (provider, model as the response names it). Raises Misconfigured for an
    attribute that no event has.
    """

    def __init__(self, sink: Sink, *, background: bool = True, naming: Naming = event_model, **attributes: Any) -> None:
        _known(attributes)
        self._sink = sink
        self._attributes = attributes
        self._naming = naming
        self._inline = not background
        self._background = Background(self._settle)
        # Reentrant: a stream that nobody holds any more ends in a finalizer, which runs wherever memory is taken.
        self._lock = threading.RLock()
        self._metered = 0
        self._lost: dict[str, int] = {}
        self._noted: dict[str, int] = {}
        # Without the lock: one operation of a dict is whole, whoever else is at it.
        self._open: dict[int, Closing] = {}
        # A program that never closes its meter has its last calls metered when it ends.
        self._at_exit = weakref.finalize(self, self._background.close, CLOSE_TIMEOUT_S)

    @property
    def stats(self) -> MeterStats:
        with self._lock:
            return MeterStats(
                self._metered, dict(self._lost), len(self._open), self._background.waiting, dict(self._noted)
            )

    @contextmanager
    def attributed(self, **attributes: Any) -> Iterator[None]:
        """Set attributes of the calls that begin within the block, in this task or thread; blocks nest."""
        _known(attributes)
        token = _attributes.set({**(_attributes.get() or {}), **attributes})
        try:
            yield
        finally:
            _attributes.reset(token)

    def attributes(self) -> dict[str, Any]:
        """What holds for a call that begins here and now."""
        return {**self._attributes, **(_attributes.get() or {})}

    def record(self, ended: Ended, *, collected: bool = False) -> None:
        """See that there is an event of the call (and of the calls inside it). Never raises.

        ``collected``: from a finalizer, where nothing may be done but to remember it.
        """
        if collected:
            if not self._background.put(ended, always=True):
                self.lose(Poison("closed", "a stream was let go after the meter was closed"))
        elif self._inline or not self._background.put(ended):
            self._settle([ended])

    def _settle(self, calls: Sequence[Ended]) -> None:
        events: list[UsageEvent] = []
        for call in calls:
            try:
                events += self._events(call.fields, call.usage(), call.provider)
            except Exception as error:
                self.lose(error)
        if events:
            self._send(events)

    def _send(self, events: Sequence[UsageEvent]) -> None:
        try:
            self._sink.emit_many(events)
        except Exception as error:
            if len(events) == 1:
                self.lose(error)
                return
            # One that cannot be sent must not take its neighbours along; those sent twice count once.
            for event in events:
                self._send([event])
        else:
            with self._lock:
                self._metered += len(events)

    def lose(self, error: BaseException) -> None:
        """Count a call that there is no event of, and log why: the reason, never a value."""
        if isinstance(error, ValidationError):
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            broken = _RULE.match(first["msg"])
            reason, detail = broken[1] if broken else "invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        elif isinstance(error, Poison):
            reason, detail = error.reason, str(error)
        elif isinstance(error, TokenmeterError):
            reason, detail = type(error).__name__, str(error)
        else:
            reason, detail = type(error).__name__, "in tokenmeter or in the client it wraps"
        with self._lock:
            count = self._lost[reason] = self._lost.get(reason, 0) + 1
        # Powers of two: a provider that changes its shape must not fill a disk.
        if count & (count - 1) == 0:
            log.error("a call was not metered (%s, %d so far): %s", reason, count, detail)

    def opened(self, call: Closing) -> None:
        """Remember a call that has not ended."""
        self._open[id(call)] = call

    def is_open(self, call: Closing) -> bool:
        return id(call) in self._open

    def ended(self, call: Closing) -> bool:
        """Whether the call was open; it is not any more. Of several who end it at once, one is told so."""
        return self._open.pop(id(call), None) is not None

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Meter what is still open, as cancelled with the usage so far, and wait for what is under way; before the
        sink is closed. Calls that end later are emitted by their callers. Logs how many were left after ``timeout_s``.
        """
        for call in self._open.copy().values():
            call.cancel()
        left = self._background.close(timeout_s)
        self._at_exit.detach()
        if left:
            log.error("%d calls still wait for the emitter after %g s", left, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _events(self, fields: Mapping[str, Any], usage: Usage, provider: str) -> Iterator[UsageEvent]:
        birth = fields.get("event_id") or event_id(fields["occurred_at"])
        provider = provider_name(provider)
        for number, one in enumerate((usage, *usage.also)):
            model = one.model or (fields.get("requested_model") if number == 0 else None)
            if not fields.get("customer_id"):
                raise Poison(
                    "unattributed",
                    "nobody said whose call it was",
                    hint="Meter(..., customer_id=...) or with meter.attributed(customer_id=...)",
                )
            if not model:
                raise Poison("usage_missing", f"neither request nor response of {provider} names a model")
            row = {**fields, "event_id": f"{birth}-{number}" if number else birth}
            if number:
                row["requested_model"] = None
            if one.provider:
                served = provider_name(one.provider.replace(" ", "-"))
                row.update(provider=served, router=fields.get("router") or provider)
            if one.notes:
                row["tags"] = self._note(one.notes, fields.get("tags"))
            yield UsageEvent(
                **{
                    "provider": provider,
                    **row,
                    **one.quantities(),
                    "model": self._naming(provider, model),
                    "finish_reason": one.finish_reason or fields.get("finish_reason"),
                    "upstream_id": one.upstream_id or fields.get("upstream_id"),
                    "service_tier": one.service_tier or fields.get("service_tier"),
                    "error_class": fields.get("error_class") or one.error_class,
                    "region": fields.get("region") or one.region,
                    "byok": one.byok or fields.get("byok", False),
                    "reported_cost": one.reported_cost,
                }
            )

    def _note(self, notes: Sequence[str], tags: Any) -> Any:
        """Count what is odd by its field; the tags of the event, which say it, too."""
        with self._lock:
            for note in notes:
                name = note.partition("=")[0]
                self._noted[name] = self._noted.get(name, 0) + 1
        # Tags that are none are told of by the event's own rules.
        return [*(tags or ()), *(NOTE_TAG + note for note in notes)] if not isinstance(tags, str) else tags


class Closing(Protocol):
    """A call that can be ended from outside."""

    def cancel(self) -> None: ...


def _known(attributes: Mapping[str, Any]) -> None:
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise Misconfigured(
            f"{', '.join(unknown)}: no attribute of an event is called so", hint=f"one of {', '.join(ATTRIBUTES)}"
        )
