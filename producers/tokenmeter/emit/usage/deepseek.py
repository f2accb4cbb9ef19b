"""DeepSeek: OpenAI's chat shape, its input split into prompt_cache_hit_tokens and prompt_cache_miss_tokens.

https://api-docs.deepseek.com/api/create-chat-completion, https://api-docs.deepseek.com/guides/kv_cache
"""

from __future__ import annotations

from dataclasses import replace

from tokenmeter.emit.usage import compatible
from tokenmeter.emit.usage.compatible import fold
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

__all__ = ["fold", "normalise"]


def normalise(response: Reader) -> Usage:
    """Raises Poison naming a missing field, or hit and miss that do not come to prompt_tokens."""
    found = compatible.normalise(response)
    usage = response.part_or_none("usage")
    hit = usage.count_or_none("prompt_cache_hit_tokens") if usage else None
    if usage is None or hit is None:
        return found
    miss = usage.count("prompt_cache_miss_tokens")
    if hit + miss != found.input_tokens:
        raise usage.conflict(
            f"prompt_tokens is {found.input_tokens}, prompt_cache_hit_tokens {hit} and prompt_cache_miss_tokens {miss}"
        )
    return replace(found, cached_input_tokens=hit)
