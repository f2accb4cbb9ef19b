"""Meters GenAI spans: ``tracer_provider.add_span_processor(processor(meter))``.

An inference span (tokenmeter.emit.usage.spans says by which names it is known) becomes one event when it ends; one that
tells token counts and not what it asked is counted as lost (``usage_span``). The event's id is the span's, so a span
that is exported twice counts once. Where a framework's span holds the client's own, the inner one counts, and the outer
is the same call told again. Attributes of the event are taken from ``identify``, from span attributes
``tokenmeter.customer_id`` and the like, and from meter.attributed() where the span began.
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tokenmeter.emit.integrations.call import NO_ANSWER, OK, error_class
from tokenmeter.emit.integrations.meter import ATTRIBUTES, Ended, Meter
from tokenmeter.emit.usage import Usage, normalise, spans
from tokenmeter.events.errors import Misconfigured, Poison

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
    from opentelemetry.trace import StatusCode
except ImportError as missing:
    raise Misconfigured("OpenTelemetry's SDK is not installed", hint="pip install 'tokenmeter[otel]'") from missing

PREFIX = "tokenmeter."
SPANS_MAX = 100_000
"""Spans under way that are remembered; beyond, new ones have no parents and no attributes of their own."""

Identify = Callable[[ReadableSpan], Mapping[str, Any] | None]


def processor(meter: Meter, identify: Identify | None = None) -> MeterSpanProcessor:
    """A span processor; ``identify`` tells a span's customer_id and the like, and must not block."""
    return MeterSpanProcessor(meter, identify)


class MeterSpanProcessor(SpanProcessor):
    """See the module. Thread-safe; never raises into the traced program."""

    def __init__(self, meter: Meter, identify: Identify | None) -> None:
        self._meter = meter
        self._identify = identify
        self._lock = threading.Lock()
        # Span id to (parent's id, attributes where it began); and the spans inside which a call was metered already.
        self._running: dict[int, tuple[int | None, dict[str, Any]]] = {}
        self._covered: set[int] = set()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        context = span.get_span_context()
        if context is not None and len(self._running) < SPANS_MAX:
            parent = span.parent.span_id if span.parent else None
            with self._lock:
                self._running[context.span_id] = (parent, self._meter.attributes())

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._end(span)
        except Exception as error:
            self._meter.lose(error)

    def shutdown(self) -> None:
        """Nothing waits here; the sink is its owner's to close."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _end(self, span: ReadableSpan) -> None:
        context, attributes = span.get_span_context(), dict(span.attributes or {})
        operation = spans.operation_of(attributes)
        if context is None:
            return
        with self._lock:
            _, begun_with = self._running.get(context.span_id, (None, {}))
            covered = context.span_id in self._covered
            if operation is not None:
                self._cover_parents(context.span_id)
            self._running.pop(context.span_id, None)
            self._covered.discard(context.span_id)
        if covered:
            return
        if operation is None:
            if spans.NAMED not in attributes and spans.tells_usage(attributes):
                self._meter.lose(
                    Poison("usage_span", "a span has token counts and does not say what it asked of a model")
                )
            return
        failed = span.status.status_code is StatusCode.ERROR
        status = _status(attributes) if failed else OK
        provider = str(spans.first(attributes, spans.PROVIDER) or "unknown")
        told = {name: attributes[PREFIX + name] for name in ATTRIBUTES if PREFIX + name in attributes}
        first_s = attributes.get("gen_ai.response.time_to_first_chunk")
        began, ended = _time(span.start_time), _time(span.end_time)
        fields = {
            **begun_with,
            **told,
            **((self._identify(span) if self._identify else None) or {}),
            "event_id": f"{context.trace_id:032x}-{context.span_id:016x}",
            "occurred_at": ended,
            "started_at": began,
            "operation": operation,
            "requested_model": spans.first(attributes, spans.REQUESTED_MODEL),
            "session_id": told.get("session_id") or attributes.get("gen_ai.conversation.id"),
            "streamed": bool(attributes.get("gen_ai.request.stream", first_s is not None)),
            "latency_ms": round(first_s * 1000) if isinstance(first_s, int | float) else None,
            "duration_ms": round((ended - began).total_seconds() * 1000),
            "status": status,
            "error_class": (error_class(status) or "upstream") if failed else None,
        }
        self._meter.record(Ended(fields, lambda: self._usage(attributes, failed), provider))

    def _usage(self, attributes: dict[str, Any], failed: bool) -> Usage:
        told = spans.tells_usage(attributes)
        # A failed call has no usage to tell; one that succeeded without telling it is an error.
        return normalise("otel", attributes) if told or not failed else Usage()

    def _cover_parents(self, span_id: int) -> None:
        parent, _ = self._running.get(span_id, (None, {}))
        while parent is not None and parent in self._running and parent not in self._covered:
            self._covered.add(parent)
            parent, _ = self._running[parent]


def _status(attributes: Mapping[str, Any]) -> int:
    for name in ("http.response.status_code", "error.type"):
        found = attributes.get(name)
        if isinstance(found, int) or (isinstance(found, str) and found.isdigit()):
            return int(found)
    return NO_ANSWER


def _time(nanoseconds: int | None) -> datetime:
    if nanoseconds is None:
        return datetime.now(UTC)
    # Whole microseconds, as integers: a float of nanoseconds since 1970 is off by hundreds.
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).replace(microsecond=nanoseconds % 10**9 // 1000)
