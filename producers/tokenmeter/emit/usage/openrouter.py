"""OpenRouter: OpenAI's chat shape with its cost.

``usage``: cost is what OpenRouter charges in credits (USD); cost_details.upstream_inference_cost is what the provider
charges, told with every call. With is_byok the caller's own account pays the provider, and cost is OpenRouter's fee
alone: then the call costs the sum. ``provider`` names who served; cache_creation splits writes by lifetime.
https://openrouter.ai/docs/use-cases/usage-accounting, https://openrouter.ai/docs/api-reference/chat-completion,
https://openrouter.ai/docs/use-cases/byok
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tokenmeter.emit.usage import compatible
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    found = compatible.normalise(response)
    usage = (response.part_or_none("response") or response).part("usage")
    byok = usage.get("is_byok") is True
    server = usage.part_or_none("server_tool_use")
    split = usage.part_or_none("cache_creation")
    long = split.count_or_zero("ephemeral_1h_input_tokens") if split else 0
    if long and found.cache_write_1h_tokens == 0:
        if long > found.cache_write_tokens:
            raise usage.conflict(f"{long} tokens are written for 1 h, and {found.cache_write_tokens} in all")
        found = replace(found, cache_write_tokens=found.cache_write_tokens - long, cache_write_1h_tokens=long)
    return replace(
        found,
        provider=response.text("provider"),
        byok=byok,
        reported_cost=_cost(usage, byok),
        web_searches=server.count_or_zero("web_search_requests") if server else found.web_searches,
    )


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk or event of a stream to ``seen``."""
    compatible.fold(seen, chunk)
    if "provider" not in seen:
        provider = chunk.get("provider")
        if provider is not None:
            seen["provider"] = provider


def _cost(usage: Reader, byok: bool) -> Decimal | None:
    charged = usage.usd("cost")
    if not byok:
        return charged
    details = usage.part_or_none("cost_details")
    upstream = details.usd("upstream_inference_cost") if details else None
    # The fee alone would pass for the cost of the call.
    return None if upstream is None else upstream + (charged or Decimal(0))
