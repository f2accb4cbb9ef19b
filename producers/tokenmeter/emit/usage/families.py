"""Every provider family by its name: what it answers in.

A family is what a caller knows of who serves; the shape of the answer decides how it is read. Most offer their models
in OpenAI's shapes beside their own, and many in Anthropic's. A shape that a family does not speak is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokenmeter.emit.provider_names import provider_name
from tokenmeter.emit.usage import (
    anthropic,
    bedrock,
    cohere,
    dashscope,
    gemini,
    minimax,
    mistral,
    ollama,
    openai,
    openrouter,
    otel,
)
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.emit.usage.shape_readers import BODIES, OPENAI, Fold, Read
from tokenmeter.emit.usage.shapes import Shape
from tokenmeter.events.errors import Poison

_COMPATIBLE = OPENAI | {Shape.MESSAGES}


@dataclass(frozen=True)
class Family:
    """``read`` and ``fold`` are for a body that says nothing of its shape; ``dialect`` reads a shape in the family's
    own way; ``refine`` adds what the family tells beside the shape.
    """

    name: str
    speaks: frozenset[Shape]
    read: Read = openai.normalise
    fold: Fold = openai.fold
    dialect: Mapping[Shape, Read] = field(default_factory=dict)
    refine: Callable[[Reader, Usage], Usage] | None = None
    aliases: tuple[str, ...] = ()


_GEMINI = frozenset({Shape.GEMINI, Shape.LIVE, Shape.INTERACTION})
_MISTRAL = {Shape.CHAT: mistral.normalise, Shape.CONVERSATION: mistral.normalise}

FAMILIES: tuple[Family, ...] = (
    Family("openai", OPENAI),
    Family("azure", BODIES - _GEMINI),
    Family("anthropic", frozenset({Shape.MESSAGES, Shape.CHAT}), anthropic.normalise, anthropic.fold),
    Family("gemini", _GEMINI | OPENAI | {Shape.PREDICTIONS}, gemini.normalise, gemini.fold),
    Family("vertex", BODIES - {Shape.CONVERSE, Shape.INVOKED}, gemini.normalise, gemini.fold),
    Family("bedrock", BODIES - _GEMINI, bedrock.normalise, bedrock.fold),
    Family(
        "mistral",
        OPENAI | {Shape.CONVERSATION, Shape.PAGES},
        mistral.normalise,
        mistral.fold,
        dialect=_MISTRAL,
    ),
    Family("cohere", OPENAI | {Shape.COHERE}, cohere.normalise, cohere.fold),
    Family("deepseek", _COMPATIBLE),
    Family("moonshot", _COMPATIBLE),
    Family("zhipu", _COMPATIBLE),
    Family("minimax", _COMPATIBLE, minimax.normalise),
    Family("dashscope", _COMPATIBLE | {Shape.DASHSCOPE}, dashscope.normalise, dashscope.fold),
    Family("openrouter", _COMPATIBLE, refine=openrouter.refine),
    Family("xai", _COMPATIBLE),
    Family("groq", OPENAI),
    Family("perplexity", OPENAI),
    Family("voyage", OPENAI),
    Family("together_ai", _COMPATIBLE),
    Family("fireworks_ai", _COMPATIBLE),
    # prompt_tokens_details is null unless the server runs with --enable-prompt-tokens-details: cached tokens are then
    # unknown and counted as not cached, as such a server's owner would pay for them.
    Family("vllm", _COMPATIBLE | {Shape.COHERE}),
    Family("ollama", _COMPATIBLE | {Shape.OLLAMA}, ollama.normalise, ollama.fold),
    # What others made of a provider's answer, or hand on as it is.
    Family("litellm", BODIES),
    Family("otel", frozenset({Shape.SPAN}), otel.normalise, otel.fold, aliases=("opentelemetry",)),
    Family("compatible", BODIES, aliases=("openai_compatible", "custom_openai")),
)

_BY_NAME = {name: family for family in FAMILIES for name in (provider_name(family.name), family.name, *family.aliases)}
PROVIDERS: tuple[str, ...] = tuple(_BY_NAME)
"""Names that ``family`` knows; it knows their aliases, too."""


def family(provider: str) -> Family:
    """Raises Poison (``usage_provider``) for a name nobody has."""
    found = _BY_NAME.get(provider.lower()) or _BY_NAME.get(provider_name(provider))
    if found is None:
        raise Poison(
            "usage_provider",
            f"no provider is called {provider!r}",
            hint=f"one of {', '.join(PROVIDERS)}; 'compatible' reads any response that says what it is",
        )
    return found
