"""How each shape is read: a whole answer into Usage, a piece of a stream into what will be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenmeter.emit.usage import (
    anthropic,
    bedrock,
    bedrock_invoke,
    billed,
    cohere,
    dashscope,
    gemini,
    gemini_interactions,
    gemini_live,
    mistral,
    ollama,
    openai_audio,
    openai_chat,
    openai_images,
    openai_responses,
    otel,
    vertex,
)
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.emit.usage.shapes import Shape

Read = Callable[[Reader], Usage]
Fold = Callable[[dict[str, Any], Reader], None]


def kept(*names: str) -> Fold:
    """A fold for what is told in one piece: the fields ``names`` of it."""

    def fold(seen: dict[str, Any], body: Reader) -> None:
        told = {name: value for name in names if (value := body.get(name)) is not None}
        seen.update(told)

    return fold


SHAPES: dict[Shape, tuple[Read, Fold]] = {
    Shape.CHAT: (openai_chat.chat, openai_chat.fold),
    Shape.RESPONSES: (openai_responses.responses, openai_responses.fold),
    Shape.IMAGES: (openai_images.images, openai_images.fold),
    Shape.AUDIO: (openai_audio.audio, openai_audio.fold),
    Shape.VIDEO: (billed.video, kept("id", "model", "status", "seconds")),
    Shape.MESSAGES: (anthropic.normalise, anthropic.fold),
    Shape.GEMINI: (gemini.normalise, gemini.fold),
    Shape.LIVE: (gemini_live.normalise, gemini_live.fold),
    Shape.INTERACTION: (gemini_interactions.normalise, gemini_interactions.fold),
    Shape.PREDICTIONS: (vertex.normalise, kept()),
    Shape.CONVERSE: (bedrock.normalise, bedrock.fold),
    Shape.INVOKED: (bedrock_invoke.normalise, bedrock_invoke.fold),
    Shape.COHERE: (cohere.normalise, cohere.fold),
    Shape.CONVERSATION: (mistral.normalise, mistral.fold),
    Shape.PAGES: (billed.pages, kept("model", "usage_info", "usageInfo")),
    Shape.DASHSCOPE: (dashscope.normalise, dashscope.fold),
    Shape.OLLAMA: (ollama.normalise, ollama.fold),
    Shape.SPAN: (otel.normalise, otel.fold),
}

OPENAI = frozenset({Shape.CHAT, Shape.RESPONSES, Shape.IMAGES, Shape.AUDIO, Shape.VIDEO})
EVERY = frozenset(Shape)
BODIES = EVERY - {Shape.SPAN}
"""What a gateway may hand on: any provider's answer, but not a span of it."""
