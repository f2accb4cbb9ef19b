"""Vertex AI's own shape, predictions: text embeddings, and images of Imagen.

Embeddings: predictions[].embeddings.statistics.token_count. What others publish there answers as it does at home.
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from tokenmeter.emit.usage import billed
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing."""
    items = [*response.parts("predictions")]
    if any(item.get("bytesBase64Encoded", "gcsUri") is not None for item in items):
        return billed.pictures(response)
    texts = [item.part("embeddings").part("statistics") for item in items]
    return _embedded(response, texts or [item.part("statistics") for item in response.parts("embeddings")])


def _embedded(response: Reader, texts: list[Reader]) -> Usage:
    if not texts:
        raise response.missing("predictions[0].embeddings.statistics")
    return Usage(input_tokens=sum(text.count("token_count", "tokenCount") for text in texts))
