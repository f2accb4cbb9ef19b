"""LiteLLM: what it makes of every provider's answer, an OpenAI shape with its own additions.

prompt_tokens includes cache for every provider; writes are prompt_tokens_details.{cache_write_tokens,
cache_creation_tokens} (older: usage.cache_creation_input_tokens), split in cache_creation_token_details; searches are
in usage.server_tool_use or prompt_tokens_details.web_search_requests. Reranking answers in Cohere's shape.
https://docs.litellm.ai/docs/completion/usage, https://docs.litellm.ai/docs/completion/prompt_caching
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenmeter.emit.usage import cohere, compatible
from tokenmeter.emit.usage.compatible import fold
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

__all__ = ["fold", "normalise"]


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("meta") is not None:
        return cohere.normalise(response)
    found = compatible.normalise(response)
    usage = response.part_or_none("usage")
    if usage is None or usage.get("prompt_tokens") is None:
        return found
    sent = usage.part_or_none("prompt_tokens_details") or usage
    return replace(
        found,
        **_cache(usage, sent),
        web_searches=_searches(usage, sent),
    )


def _cache(usage: Reader, sent: Reader) -> dict[str, Any]:
    read = sent.count_or_none("cached_tokens")
    if read is None:
        read = usage.count_or_zero("cache_read_input_tokens", "prompt_cache_hit_tokens")
    written = sent.count_or_none("cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = usage.count_or_zero("cache_creation_input_tokens")
    split = sent.part_or_none("cache_creation_token_details")
    names = ("ephemeral_1h_input_tokens", "ephemeral_12h_input_tokens")
    long = sum(split.count_or_zero(name) for name in names) if split else 0
    if long > written:
        raise sent.conflict(f"{long} tokens are written for an hour or more, and {written} in all")
    return {"cached_input_tokens": read, "cache_write_tokens": written - long, "cache_write_1h_tokens": long}


def _searches(usage: Reader, sent: Reader) -> int:
    server = usage.part_or_none("server_tool_use")
    searches = server.count_or_none("web_search_requests") if server else None
    return sent.count_or_zero("web_search_requests") if searches is None else searches
