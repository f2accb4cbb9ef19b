"""Every provider family by its name, with the names that routers and clients use for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tokenmeter.emit.usage import (
    anthropic,
    bedrock,
    cohere,
    compatible,
    dashscope,
    deepseek,
    gemini,
    litellm,
    minimax,
    mistral,
    moonshot,
    ollama,
    openai,
    openrouter,
    otel,
    vertex,
    vllm,
    zhipu,
)
from tokenmeter.emit.usage.model import Usage, checked
from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.errors import Poison


@dataclass(frozen=True)
class Family:
    """``read`` turns a response into Usage, ``fold`` adds a stream's chunk to what will be read; both are pure."""

    name: str
    read: Callable[[Reader], Usage]
    fold: Callable[[dict[str, Any], Reader], None]
    author: str | None
    """Who wrote the models served, where a response names no author; None where they are of many."""
    aliases: tuple[str, ...] = ()


FAMILIES: tuple[Family, ...] = (
    Family("openai", openai.normalise, openai.fold, "openai"),
    Family("azure", openai.normalise, openai.fold, "openai", ("azure_openai", "azure.ai.openai", "az.ai.openai")),
    Family("anthropic", anthropic.normalise, anthropic.fold, "anthropic"),
    Family("gemini", gemini.normalise, gemini.fold, "google", ("google", "gcp.gemini", "gcp.gen_ai")),
    Family("vertex", vertex.normalise, vertex.fold, "google", ("vertex_ai", "gcp.vertex_ai")),
    Family("bedrock", bedrock.normalise, bedrock.fold, None, ("aws.bedrock", "bedrock_converse")),
    Family("mistral", mistral.normalise, mistral.fold, "mistralai", ("mistral_ai",)),
    Family("cohere", cohere.normalise, cohere.fold, "cohere", ("cohere_chat",)),
    Family("deepseek", deepseek.normalise, deepseek.fold, "deepseek"),
    Family("moonshot", moonshot.normalise, moonshot.fold, "moonshotai", ("kimi",)),
    Family("zhipu", zhipu.normalise, zhipu.fold, "z-ai", ("z-ai", "zai", "bigmodel")),
    Family("minimax", minimax.normalise, minimax.fold, "minimax"),
    Family("dashscope", dashscope.normalise, dashscope.fold, "qwen", ("alibaba", "qwen")),
    Family("openrouter", openrouter.normalise, openrouter.fold, None),
    Family("vllm", vllm.normalise, vllm.fold, None, ("hosted_vllm",)),
    Family("ollama", ollama.normalise, ollama.fold, None, ("ollama_chat",)),
    # What others made of a provider's answer.
    Family("litellm", litellm.normalise, litellm.fold, None),
    Family("otel", otel.normalise, otel.fold, None, ("opentelemetry",)),
    # Anything else that answers in OpenAI's or Anthropic's shape.
    Family("compatible", compatible.normalise, compatible.fold, None, ("openai_compatible", "custom_openai")),
)

_BY_NAME = {name: family for family in FAMILIES for name in (family.name, *family.aliases)}
PROVIDERS: tuple[str, ...] = tuple(_BY_NAME)
"""Every name that ``normalise`` knows."""


def family(provider: str) -> Family:
    """Raises Poison (``usage_provider``) for a name nobody has."""
    found = _BY_NAME.get(provider.lower())
    if found is None:
        raise Poison(
            "usage_provider",
            f"no provider is called {provider!r}",
            hint=f"one of {', '.join(PROVIDERS)}; 'compatible' reads any response in OpenAI's or Anthropic's shape",
        )
    return found


def normalise(provider: str, response: Any) -> Usage:
    """The usage of one response, a client's object or the decoded JSON; of a stream the last chunk, or ``fold``'s dict.

    Pure. Raises Poison: ``usage_missing`` names the field that is not there, ``usage_shape`` one of a wrong kind,
    ``usage_conflict`` figures that contradict each other, and accept's own reasons what would not be accepted.
    """
    found = family(provider)
    return checked(found.name, found.read(Reader(found.name, response)))


def fold(provider: str, seen: dict[str, Any], chunk: Any) -> None:
    """Add one chunk of a stream to ``seen`` (at first empty), which normalise() then reads.

    ``seen`` holds figures and names, never text, and is worth reading after any chunk: it has the usage so far.
    Raises Poison if the chunk is of no known shape.
    """
    found = family(provider)
    found.fold(seen, Reader(found.name, chunk))


def gather(provider: str, chunks: Iterable[Any]) -> Usage:
    """The usage of a whole stream."""
    seen: dict[str, Any] = {}
    for chunk in chunks:
        fold(provider, seen, chunk)
    return normalise(provider, seen)
