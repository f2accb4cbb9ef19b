"""OpenTelemetry GenAI spans: the attributes of one inference span, as a mapping by name.

Input includes cache reads and writes, output includes reasoning. Instrumentation that reports Anthropic's input as
Anthropic does breaks the convention: with more cached than input it is the total that is wrong, so that is an error
here and not clamped; less cannot be seen.
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import spans
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.errors import Poison
from tokenmeter.events.models import Operation


def normalise(span: Reader) -> Usage:
    """Raises Poison naming the attribute that is not there."""
    attributes = span.value if isinstance(span.value, dict) else {}
    embedded = spans.operation_of(attributes) in (Operation.EMBEDDING, Operation.RERANK)
    sent, cached, written = span.count(*spans.INPUT), span.detail(*spans.CACHED), span.detail(*spans.WRITTEN)
    if cached + written > sent:
        raise Poison(
            "breakdown",
            f"a span has {sent} tokens of input, of which {cached} are read from a cache and {written} written to it",
            hint="its instrumentation leaves them out of the input: update it, or meter the client itself",
        )
    return Usage(
        input_tokens=sent,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        input_audio_tokens=span.detail(spans.AUDIO_IN),
        output_tokens=span.count_or_zero(*spans.OUTPUT) if embedded else span.count(*spans.OUTPUT),
        reasoning_tokens=span.detail(*spans.REASONING),
        output_audio_tokens=span.detail(spans.AUDIO_OUT),
        model=span.text(*spans.MODEL),
        finish_reason=_reason(span.get(*spans.REASONS)),
        upstream_id=span.text(*spans.ID),
        service_tier=span.text(*spans.SERVICE_TIER),
    )


def fold(seen: dict[str, Any], span: Reader) -> None:
    """A span is whole: the last one counts."""
    if isinstance(span.value, dict):
        seen.update({name: value for name, value in span.value.items() if name in spans.KEPT})


def _reason(told: Any) -> str | None:
    if isinstance(told, str):
        return told or None
    return str(told[0]) if isinstance(told, list | tuple) and told else None
