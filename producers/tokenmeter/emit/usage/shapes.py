"""Which shape a body has, by what is in it: the provider that is named is a hint, the body is what will be read.

The order matters where shapes share names: what names itself (``object``, ``type``) goes before what its keys suggest.
Asking a client's object for what it has not is slow, so the commonest answers are found by the first questions.
"""

from __future__ import annotations

from enum import StrEnum

from tokenmeter.emit.usage.bedrock_invoke import counted_in_headers, is_invoked
from tokenmeter.emit.usage.gemini_live import is_live
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.emit.usage.spans import is_span


class Shape(StrEnum):
    """A way to tell usage; the value is the family that it is known from."""

    CHAT = "openai chat"
    RESPONSES = "openai responses"
    IMAGES = "openai images"
    AUDIO = "openai audio"
    VIDEO = "openai video"
    MESSAGES = "anthropic"
    GEMINI = "gemini"
    LIVE = "gemini live"
    INTERACTION = "gemini interactions"
    PREDICTIONS = "vertex"
    CONVERSE = "bedrock converse"
    INVOKED = "bedrock invoke"
    COHERE = "cohere"
    CONVERSATION = "mistral conversation"
    PAGES = "mistral ocr"
    DASHSCOPE = "dashscope"
    OLLAMA = "ollama"
    SPAN = "otel"

    # An Enum's own is a Python function, and every chunk of a stream is looked up by its shape.
    __hash__ = str.__hash__


_OBJECTS: dict[str, Shape] = {
    "chat.completion": Shape.CHAT,
    "chat.completion.chunk": Shape.CHAT,
    "text_completion": Shape.CHAT,
    "list": Shape.CHAT,
    "response": Shape.RESPONSES,
    "response.compaction": Shape.RESPONSES,
    "realtime.response": Shape.AUDIO,
    "video": Shape.VIDEO,
    "interaction": Shape.INTERACTION,
    "conversation.response": Shape.CONVERSATION,
}
_TYPES: tuple[tuple[str, Shape], ...] = (
    ("message_", Shape.MESSAGES),
    ("content_block_", Shape.MESSAGES),
    ("response.", Shape.RESPONSES),
    ("conversation.", Shape.CONVERSATION),
    ("transcript.", Shape.AUDIO),
    ("speech.", Shape.AUDIO),
    ("image_", Shape.IMAGES),
)
_COHERE_EVENTS = ("message-", "content-", "tool-call-", "tool-plan-", "citation-", "stream-", "text-generation")
_CONVERSE_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop")
_GEMINI = ("usageMetadata", "usage_metadata", "candidates")


def shape_of(body: Reader) -> Shape | None:
    """The shape of an answer or of one piece of a stream; None where nothing in it says."""
    if body.get("choices") is not None:
        return Shape.CHAT
    named = _OBJECTS.get(body.text("object") or "")
    return named or _by_type(body) or _by_keys(body) or _by_usage(body)


def _by_type(body: Reader) -> Shape | None:
    kind = body.text("type", "event_type") or ""
    if not kind:
        return None
    if kind == "message":
        return Shape.MESSAGES
    if kind.startswith(("interaction.", "content.", "step.")):
        return Shape.INTERACTION
    if kind == "response.done":  # realtime's, unless it holds a response
        inner = body.part_or_none("response")
        return _OBJECTS.get((inner.text("object") if inner else None) or "realtime.response")
    if kind.startswith(_COHERE_EVENTS):
        return Shape.COHERE
    return next((shape for start, shape in _TYPES if kind.startswith(start)), None)


def _by_keys(body: Reader) -> Shape | None:
    if is_live(body):
        return Shape.LIVE
    if body.get(*_GEMINI) is not None:
        return Shape.GEMINI
    if is_invoked(body):
        return Shape.INVOKED
    if body.get("predictions") is not None:
        return Shape.PREDICTIONS
    if body.get("prompt_eval_count") is not None or (body.get("done") is not None and body.get("model") is not None):
        return Shape.OLLAMA
    if body.get("usage_info", "usageInfo") is not None:
        return Shape.PAGES
    if body.get(*_CONVERSE_EVENTS) is not None:
        return Shape.CONVERSE
    return Shape.SPAN if is_span(body) else None


def _by_usage(body: Reader) -> Shape | None:
    usage = body.part_or_none("usage")
    if usage is not None:
        return _by_names(body, usage)
    for place, shape in (("metadata", Shape.CONVERSE), ("meta", Shape.COHERE)):
        inner = body.part_or_none(place)
        if inner is not None and inner.get("usage", "billed_units", "tokens") is not None:
            return shape
    if _holds(body, "data", "b64_json", "url"):
        return Shape.IMAGES
    if body.get("text") is not None and body.get("duration") is not None:
        return Shape.AUDIO
    if _holds(body, "embeddings", "statistics"):
        return Shape.PREDICTIONS
    return Shape.INVOKED if counted_in_headers(body) is not None else None


def _by_names(body: Reader, usage: Reader) -> Shape | None:
    if _holds(body, "data", "b64_json", "url"):
        return Shape.IMAGES
    if usage.get("prompt_tokens") is not None:
        return Shape.CHAT
    if usage.get("inputTokens") is not None:
        return Shape.CONVERSE
    if usage.get("total_input_tokens") is not None:
        return Shape.INTERACTION
    if usage.get("billed_units", "tokens") is not None:
        return Shape.COHERE
    if usage.get("type", "input_token_details") is not None:
        return Shape.AUDIO
    output = body.get("output")
    if output is not None:
        return Shape.RESPONSES if isinstance(output, list | tuple) else Shape.DASHSCOPE
    if usage.get("input_tokens_details", "output_tokens_details") is not None and usage.get("total_tokens") is not None:
        return Shape.RESPONSES
    if usage.get("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation") is not None:
        return Shape.MESSAGES
    total_alone = usage.get("total_tokens") is not None and usage.get("input_tokens") is None
    return Shape.CHAT if total_alone and body.get("data", "results", "embeddings") is not None else None


def _holds(body: Reader, name: str, *fields: str) -> bool:
    """Whether ``name`` is a list whose first part has one of ``fields``."""
    found = body.get(name)
    return isinstance(found, list | tuple) and bool(found) and Reader(body.family, found[0]).get(*fields) is not None
