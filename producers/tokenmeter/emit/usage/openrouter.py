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

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def refine(response: Reader, found: Usage) -> Usage:
    """``found``, read by its shape, and what OpenRouter adds: who served, and what it cost."""
    usage = (response.part_or_none("response") or response).part_or_none("usage")
    if usage is None:
        return replace(found, provider=response.text("provider"))
    byok = usage.get("is_byok") is True
    return replace(found, provider=response.text("provider"), byok=byok, reported_cost=_cost(usage, byok))


def _cost(usage: Reader, byok: bool) -> Decimal | None:
    charged = usage.usd("cost")
    if not byok:
        return charged
    details = usage.part_or_none("cost_details")
    upstream = details.usd("upstream_inference_cost") if details else None
    # The fee alone would pass for the cost of the call.
    return None if upstream is None else upstream + (charged or Decimal(0))
