"""Every provider family by its name: what it answers in, and who wrote the models where nobody says.

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
    own way; ``refine`` adds what the family tells beside the shape. ``author`` wrote the models served; None where they
    are of many.
    """

    name: str
    author: str | None
    speaks: frozenset[Shape]
    read: Read = openai.normalise
    fold: Fold = openai.fold
    dialect: Mapping[Shape, Read] = field(default_factory=dict)
    refine: Callable[[Reader, Usage], Usage] | None = None
    aliases: tuple[str, ...] = ()


_GEMINI = frozenset({Shape.GEMINI, Shape.LIVE, Shape.INTERACTION})
_MISTRAL = {Shape.CHAT: mistral.normalise, Shape.CONVERSATION: mistral.normalise}

FAMILIES: tuple[Family, ...] = (
    Family("openai", "openai", OPENAI),
    Family("azure", "openai", BODIES - _GEMINI),
    Family("anthropic", "anthropic", frozenset({Shape.MESSAGES, Shape.CHAT}), anthropic.normalise, anthropic.fold),
    Family("gemini", "google", _GEMINI | OPENAI | {Shape.PREDICTIONS}, gemini.normalise, gemini.fold),
    Family("vertex", "google", BODIES - {Shape.CONVERSE, Shape.INVOKED}, gemini.normalise, gemini.fold),
    Family("bedrock", None, BODIES - _GEMINI, bedrock.normalise, bedrock.fold),
    Family(
        "mistral",
        "mistralai",
        OPENAI | {Shape.CONVERSATION, Shape.PAGES},
        mistral.normalise,
        mistral.fold,
        dialect=_MISTRAL,
    ),
    Family("cohere", "cohere", OPENAI | {Shape.COHERE}, cohere.normalise, cohere.fold),
    Family("deepseek", "deepseek", _COMPATIBLE),
    Family("moonshot", "moonshotai", _COMPATIBLE),
    Family("zhipu", "z-ai", _COMPATIBLE),
    Family("minimax", "minimax", _COMPATIBLE, minimax.normalise),
    Family("dashscope", "qwen", _COMPATIBLE | {Shape.DASHSCOPE}, dashscope.normalise, dashscope.fold),
    Family("openrouter", None, _COMPATIBLE, refine=openrouter.refine),
    # prompt_tokens_details is null unless the server runs with --enable-prompt-tokens-details: cached tokens are then
    # unknown and counted as not cached, as such a server's owner would pay for them.
    Family("vllm", None, _COMPATIBLE | {Shape.COHERE}),
    Family("ollama", None, _COMPATIBLE | {Shape.OLLAMA}, ollama.normalise, ollama.fold),
    # What others made of a provider's answer, or hand on as it is.
    Family("litellm", None, BODIES),
    Family("otel", None, frozenset({Shape.SPAN}), otel.normalise, otel.fold, aliases=("opentelemetry",)),
    Family("compatible", None, BODIES, aliases=("openai_compatible", "custom_openai")),
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
