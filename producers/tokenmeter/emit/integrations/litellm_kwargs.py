"""Reads what LiteLLM says of a call to its loggers, which is much and not always what its name says."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any

from tokenmeter.emit.integrations.endpoints import host_of, provider_at
from tokenmeter.events.models import Operation

TELL_USAGE = (
    *("anthropic", "bedrock", "vertex_ai", "gemini", "cohere", "cohere_chat", "ollama", "ollama_chat"),
    *("mistral", "openrouter"),
)
"""Whose streams have usage without being asked."""
_TAKE_QUESTIONS = (
    *("groq", "together_ai", "fireworks_ai", "xai", "deepseek", "moonshot", "dashscope", "sambanova", "nebius"),
    *("novita", "volcengine", "hosted_vllm", "lm_studio"),
)
"""Who document stream_options, by LiteLLM's names."""
_ANY = ("openai", "text-completion-openai", "custom_openai", "openai_like")
"""Names under which LiteLLM calls whatever answers like OpenAI: who it is, the address says."""
_AZURE = ("azure", "azure_text")
_AZURE_TAKES_FROM = "2024-09-01"
"""The api-version with which Azure began to know stream_options."""
_BASES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Where LiteLLM finds OpenAI's address that no call names."""

_OPERATIONS = {
    "completion": Operation.CHAT,
    "anthropic_messages": Operation.CHAT,
    "generate_content": Operation.CHAT,
    "text_completion": Operation.COMPLETION,
    "responses": Operation.RESPONSE,
    "embedding": Operation.EMBEDDING,
    "rerank": Operation.RERANK,
    "image_generation": Operation.IMAGE,
    "image_edit": Operation.IMAGE,
    "transcription": Operation.AUDIO,
    "speech": Operation.AUDIO,
}


def operation_of(kwargs: Mapping[str, Any]) -> Operation | None:
    """What was asked of a model, whether synchronously or not; None where LiteLLM did something else."""
    kind = str(kwargs.get("call_type") or "")
    return _OPERATIONS.get(kind.removeprefix("a")) or _OPERATIONS.get(kind)


def provider_of(kwargs: Mapping[str, Any]) -> str | None:
    """Who will be called, as LiteLLM names it: said, or the first part of the model's name."""
    said = kwargs.get("custom_llm_provider")
    head, slash, _ = str(kwargs.get("model") or "").partition("/")
    return said or (head if slash else None)


def takes_question(kwargs: Mapping[str, Any], hosts: Collection[str], environ: Mapping[str, str]) -> bool:
    """Whether who is called is known to take stream_options: LiteLLM lets nobody repeat a call for its caller, so there
    is no trying. ``hosts`` are those of which the user says so."""
    provider = provider_of(kwargs)
    base = kwargs.get("api_base") or kwargs.get("base_url")
    if provider is None or provider in TELL_USAGE:
        return False
    if base and host_of(str(base)) in hosts:
        return True
    if provider in _AZURE:
        version = str(kwargs.get("api_version") or environ.get("AZURE_API_VERSION") or "")
        # Versions are dates, but for "preview" and the like, which are the newest; LiteLLM's own is new enough.
        return not version[:1].isdigit() or version >= _AZURE_TAKES_FROM
    if provider not in _ANY:
        return provider in _TAKE_QUESTIONS
    base = base or next((environ[name] for name in _BASES if environ.get(name)), None)
    return base is None or provider_at(str(base)) == "openai"


def place_of(kwargs: Mapping[str, Any]) -> Hashable:
    """What is called: the server and the model, as its caller named them."""
    return (provider_of(kwargs), str(kwargs.get("api_base") or kwargs.get("base_url")), str(kwargs.get("model")))


def name_of(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs.get("custom_llm_provider") or "unknown")


def metadata_of(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    parameters = kwargs.get("litellm_params") or {}
    return {**(parameters.get("litellm_metadata") or {}), **(parameters.get("metadata") or {})}


def hung_up(kwargs: Mapping[str, Any]) -> bool:
    """Whether the proxy saw its caller go. A caller who says so of himself is not believed: it would be free."""
    metadata = metadata_of(kwargs)
    return bool(metadata.get("client_disconnected")) and "client_disconnected" not in (
        metadata.get("requester_metadata") or {}
    )


def served_model(kwargs: Mapping[str, Any], response: Any) -> str | None:
    """Who answered. The proxy and the router write the name of the group that was asked for over the answer's own."""
    hidden = getattr(response, "_hidden_params", None)
    told = hidden.get("provider_response_model") if isinstance(hidden, Mapping) else None
    if told:
        return str(told)
    return kwargs.get("model") if metadata_of(kwargs).get("model_group") else None


def asks_for_usage(kwargs: Mapping[str, Any]) -> bool:
    """Whether a stream's usage is the provider's own: it tells it unasked, or was asked in what was sent."""
    if kwargs.get("custom_llm_provider") in TELL_USAGE or kwargs.get("call_type") in ("responses", "aresponses"):
        return True
    sent = (kwargs.get("additional_args") or {}).get("complete_input_dict")
    if not isinstance(sent, Mapping):
        return False
    asked = (sent.get("stream_options"), (sent.get("extra_body") or {}).get("stream_options"))
    return any(isinstance(options, Mapping) and options.get("include_usage") for options in asked)


def utc(told: datetime) -> datetime:
    """One of LiteLLM's times, which are the machine's local time and do not say so. Of the hour that is there twice
    when clocks go back, its ``fold`` says which is meant; differences are right between times in UTC only."""
    return told.astimezone(UTC)
