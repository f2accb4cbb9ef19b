"""The names under which OpenTelemetry instrumentations tell of a model call, and what they mean.

The convention's own (gen_ai.*, with the names of before 2024), OpenLLMetry's (llm.request.type and some of its own
under gen_ai.usage), OpenInference's (llm.*, openinference.span.kind) and those of the AI SDK (ai.*), whose outer span
tells the usage of its inner one again. https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/,
https://github.com/traceloop/openllmetry, https://github.com/Arize-ai/openinference/tree/main/spec,
https://ai-sdk.dev/docs/ai-sdk-core/telemetry
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.models import Operation

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.cachedInputTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
)
WRITTEN = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.reasoningTokens",
    "ai.usage.outputTokenDetails.reasoningTokens",
)
AUDIO_IN, AUDIO_OUT = "llm.token_count.prompt_details.audio", "llm.token_count.completion_details.audio"
MODEL = ("gen_ai.response.model", "ai.response.model", "llm.response.model", "llm.model_name", "embedding.model_name")
REQUESTED_MODEL = ("gen_ai.request.model", "ai.model.id", "llm.request.model")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider")
ID = ("gen_ai.response.id", "ai.response.id")
REASONS = ("gen_ai.response.finish_reasons", "ai.response.finishReason")
SERVICE_TIER = ("gen_ai.openai.response.service_tier", "openai.response.service_tier")

NAMED = "gen_ai.operation.name"
_OPERATIONS: dict[tuple[str, str], Operation] = {
    (NAMED, "chat"): Operation.CHAT,
    (NAMED, "generate_content"): Operation.CHAT,
    (NAMED, "text_completion"): Operation.COMPLETION,
    (NAMED, "embeddings"): Operation.EMBEDDING,
    ("llm.request.type", "chat"): Operation.CHAT,
    ("llm.request.type", "completion"): Operation.COMPLETION,
    ("llm.request.type", "embedding"): Operation.EMBEDDING,
    ("llm.request.type", "rerank"): Operation.RERANK,
    ("openinference.span.kind", "llm"): Operation.CHAT,
    ("openinference.span.kind", "embedding"): Operation.EMBEDDING,
    ("ai.operationId", "ai.generatetext.dogenerate"): Operation.CHAT,
    ("ai.operationId", "ai.streamtext.dostream"): Operation.CHAT,
    ("ai.operationId", "ai.generateobject.dogenerate"): Operation.CHAT,
    ("ai.operationId", "ai.streamobject.dostream"): Operation.CHAT,
    ("ai.operationId", "ai.embed.doembed"): Operation.EMBEDDING,
    ("ai.operationId", "ai.embedmany.doembed"): Operation.EMBEDDING,
}
_TELLING = tuple(dict.fromkeys(name for name, _ in _OPERATIONS))
_USAGE = frozenset((*INPUT, *OUTPUT))
_FIGURES = (*INPUT, *OUTPUT, *CACHED, *WRITTEN, *REASONING, AUDIO_IN, AUDIO_OUT)
KEPT = frozenset((*_FIGURES, *_TELLING, *MODEL, *REQUESTED_MODEL, *PROVIDER, *ID, *REASONS, *SERVICE_TIER))
"""All attributes that are read: figures and names, none that holds what was said."""


def operation_of(attributes: Mapping[str, Any]) -> Operation | None:
    """What a span asked of a model; None where it is no call of a model. The convention's own word goes first."""
    for name in _TELLING:
        value = attributes.get(name)
        if value is not None:
            return _OPERATIONS.get((name, str(value).lower()))
    return None


def tells_usage(attributes: Mapping[str, Any]) -> bool:
    """Whether a span has token counts under any name that is known."""
    return not _USAGE.isdisjoint(attributes)


def first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of ``names`` that is there and not null."""
    return next((value for name in names if (value := attributes.get(name)) is not None), None)


def is_span(body: Reader) -> bool:
    """Whether a body is the attributes of a model call's span."""
    return isinstance(body.value, Mapping) and any(
        isinstance(name, str) and name.startswith(("gen_ai.", "llm.", "ai.", "openinference.")) for name in body.value
    )
