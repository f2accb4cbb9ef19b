"""Reads what LiteLLM says of a call to its loggers, which is much and not always what its name says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TELL_USAGE = ("anthropic", "bedrock", "vertex_ai", "gemini", "cohere", "cohere_chat", "ollama", "ollama_chat")
"""Whose streams have usage without being asked."""


def provider_of(kwargs: Mapping[str, Any]) -> str | None:
    """Who will be called, as LiteLLM names it: said, or the first part of the model's name."""
    said = kwargs.get("custom_llm_provider")
    head, slash, _ = str(kwargs.get("model") or "").partition("/")
    return said or (head if slash else None)


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
