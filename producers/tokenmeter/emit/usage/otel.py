"""OpenTelemetry GenAI spans: the attributes of one inference span, as a mapping by name.

gen_ai.usage.input_tokens includes cache_read and cache_creation, output_tokens includes reasoning. Instrumentation that
reports Anthropic's input as Anthropic does breaks the convention: more cached than input is an error here, and less
cannot be seen. Names of before 2024 (prompt_tokens, completion_tokens) are read too.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/,
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

EMBEDDINGS = "embeddings"


def normalise(span: Reader) -> Usage:
    """Raises Poison naming the attribute that is not there."""
    embedded = span.text("gen_ai.operation.name") == EMBEDDINGS
    output = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
    reasons = span.get("gen_ai.response.finish_reasons")
    return Usage(
        input_tokens=span.count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        cached_input_tokens=span.count_or_zero("gen_ai.usage.cache_read.input_tokens"),
        cache_write_tokens=span.count_or_zero("gen_ai.usage.cache_creation.input_tokens"),
        output_tokens=span.count_or_zero(*output) if embedded else span.count(*output),
        reasoning_tokens=span.count_or_zero("gen_ai.usage.reasoning.output_tokens"),
        model=span.text("gen_ai.response.model"),
        finish_reason=str(reasons[0]) if isinstance(reasons, list | tuple) and reasons else None,
        upstream_id=span.text("gen_ai.response.id"),
        service_tier=span.text("gen_ai.openai.response.service_tier", "openai.response.service_tier"),
    )


def fold(seen: dict[str, Any], span: Reader) -> None:
    """A span is whole: the last one counts."""
    if isinstance(span.value, dict):
        seen.update(span.value)
