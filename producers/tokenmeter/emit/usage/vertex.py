"""Vertex AI: Gemini's shape, text embeddings, and the shapes of the models that others publish there.

Embeddings: predictions[].embeddings.statistics.token_count. Anthropic's and OpenAI-compatible models answer as they do
at home. https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api,
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import anthropic, gemini, openai_chat
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("predictions") is not None:
        texts = [item.part("embeddings").part("statistics") for item in response.parts("predictions")]
        return _embedded(response, texts)
    if response.get("embeddings") is not None and response.get("usageMetadata", "usage_metadata") is None:
        return _embedded(response, [item.part("statistics") for item in response.parts("embeddings")])
    usage = response.part_or_none("usage")
    if usage is not None and usage.get("input_tokens") is not None:
        return anthropic.normalise(response)
    if usage is not None and str(response.get("model")).startswith("google/"):
        return gemini.normalise(response)
    return openai_chat.chat(response) if usage is not None else gemini.normalise(response)


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk or event of a stream to ``seen``."""
    if chunk.get("type") is not None:
        anthropic.fold(seen, chunk)
    elif chunk.get("choices", "object") is not None:
        openai_chat.fold(seen, chunk)
    else:
        gemini.fold(seen, chunk)


def _embedded(response: Reader, texts: list[Reader]) -> Usage:
    if not texts:
        raise response.missing("predictions[0].embeddings.statistics")
    return Usage(input_tokens=sum(text.count("token_count", "tokenCount") for text in texts))
