"""The one thing every drop-in needs: a call begins, and once it has ended there is one event of it.

    meter = Meter(emitter, customer_id="acme")
    with meter.attributed(customer_id="umbrella", project_id="p1"):
        ...

Nothing here raises into the caller. What cannot be made into an event, or is refused by the emitter, is counted
(``stats.lost``) and logged by its reason alone. An Emitter with a spool has the event on disk when the call returns; to
wait for no disk, give ``Meter(Handoff(emitter))``. Make an emitter without a spool with ``on_full="raise"``, or a long
outage of Kafka holds up your calls.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from tokenmeter.emit.usage import Usage, family
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
    """Where events go: the Emitter, a Handoff, or a list in a test."""

    def emit(self, event: UsageEvent) -> None:
        """Take one event, or raise."""


@dataclass(frozen=True)
class MeterStats:
    """Events handed to the sink; calls of which there is no event, by reason; calls that have not ended."""

    metered: int
    lost: Mapping[str, int]
    open: int


_attributes: ContextVar[Mapping[str, Any] | None] = ContextVar("tokenmeter_attributes", default=None)

Naming = Callable[[str, str], str]


def author_slug(provider: str, model: str) -> str:
    """``author/slug`` as events name models; a name that has an author keeps it."""
    try:
        author = family(provider).author
    except Poison:
        author = None
    return model if "/" in model or author is None else f"{author}/{model}"


class Meter:
    """Thread-safe. ``attributes`` are the ATTRIBUTES of every call unless attributed() says otherwise.

    ``naming`` makes the event's model of (provider, model as the response names it). Raises Misconfigured for an
    attribute that no event has.
    """

    def __init__(self, sink: Sink, *, naming: Naming = author_slug, **attributes: Any) -> None:
        _known(attributes)
        self._sink = sink
        self._attributes = attributes
        self._naming = naming
        self._lock = threading.Lock()
        self._metered = 0
        self._lost: dict[str, int] = {}
        self._open: dict[int, Closing] = {}

    @property
    def stats(self) -> MeterStats:
        with self._lock:
            return MeterStats(self._metered, dict(self._lost), len(self._open))

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

    def record(self, fields: Mapping[str, Any], usage: Usage, provider: str) -> None:
        """Make the event of one ended call (and of the calls inside it) and hand it on. Never raises.

        ``fields`` are those of UsageEvent but the quantities; ``model`` is what was asked for.
        """
        try:
            for event in self._events(fields, usage, provider):
                self._sink.emit(event)
                with self._lock:
                    self._metered += 1
        except Exception as error:
            self.lose(error)

    def lose(self, error: BaseException) -> None:
        """Count a call that there is no event of, and log why: the reason, never a value."""
        if isinstance(error, ValidationError):
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            reason, detail = "invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
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
        with self._lock:
            self._open[id(call)] = call

    def ended(self, call: Closing) -> None:
        with self._lock:
            self._open.pop(id(call), None)

    def close(self) -> None:
        """Meter what is still open, as cancelled, with the usage so far. The sink is the caller's to close."""
        with self._lock:
            calls = list(self._open.values())
        for call in calls:
            call.cancel()

    def _events(self, fields: Mapping[str, Any], usage: Usage, provider: str) -> Iterator[UsageEvent]:
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
            row = dict(fields)
            if number:
                row.update(event_id=f"{fields['event_id']}-{number}", requested_model=None)
            served = (one.provider or "").lower().replace(" ", "-")
            if served:
                row.update(provider=served, router=fields.get("router") or provider)
            yield UsageEvent(
                **{
                    "provider": provider,
                    **row,
                    **one.quantities(),
                    "model": self._naming(provider, model),
                    "finish_reason": one.finish_reason or fields.get("finish_reason"),
                    "upstream_id": one.upstream_id or fields.get("upstream_id"),
                    "service_tier": one.service_tier or fields.get("service_tier"),
                    "byok": one.byok or fields.get("byok", False),
                    "reported_cost": one.reported_cost,
                }
            )


class Closing(Protocol):
    """A call that can be ended from outside."""

    def cancel(self) -> None: ...


def _known(attributes: Mapping[str, Any]) -> None:
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise Misconfigured(
            f"{', '.join(unknown)}: no attribute of an event is called so", hint=f"one of {', '.join(ATTRIBUTES)}"
        )
