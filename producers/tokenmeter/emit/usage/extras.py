"""What a ``usage`` in OpenAI's names tells beside tokens: searches, tools run by the server, and what the call cost.

xAI: cost_in_usd_ticks are 1e-10 USD; num_sources_used is what Live Search bills; server_side_tool_usage_details counts
calls by tool. Perplexity: num_search_queries, and ``cost`` as an object with total_cost. LiteLLM, OpenRouter:
server_tool_use.web_search_requests. A ``cost`` that is a plain number is read for OpenRouter alone: others count in
credits of their own. https://docs.x.ai/docs/guides/live-search, https://docs.x.ai/docs/guides/tools/overview,
https://docs.perplexity.ai/getting-started/pricing
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tokenmeter.emit.usage.reader import Reader
from tokenmeter.events.errors import Poison

USD_OF_TICK = Decimal("1e-10")
_SERVER_SEARCHES = ("web_search_calls", "x_search_calls")


def extras(usage: Reader) -> dict[str, Any]:
    """Searches and cost, where they are told: fields of Usage."""
    told: dict[str, Any] = {}
    searches = _searches(usage)
    if searches:
        told["web_searches"] = searches
    cost = _cost(usage)
    if cost is not None:
        told["reported_cost"] = cost
    return told


def server_tool_calls(usage: Reader) -> int:
    """Calls of tools that the provider ran itself, where usage counts them and the answer does not list them."""
    return usage.detail("num_server_side_tools_used")


def _searches(usage: Reader) -> int:
    server = usage.part_or_none("server_tool_use")
    found = server.detail("web_search_requests") if server else 0
    if not found:
        tools = usage.part_or_none("server_side_tool_usage_details")
        found = sum(tools.detail(name) for name in _SERVER_SEARCHES) if tools else 0
    if not found:
        sent = usage.part_or_none("prompt_tokens_details")
        found = sent.detail("web_search_requests") if sent else 0
    return found or usage.detail("num_search_queries", "num_sources_used")


def _cost(usage: Reader) -> Decimal | None:
    ticks = usage.get("cost_in_usd_ticks")
    if type(ticks) is int and ticks >= 0:
        return ticks * USD_OF_TICK
    cost = usage.part_or_none("cost")
    if cost is None or isinstance(cost.value, int | float | str):
        return None
    try:
        return cost.usd("total_cost")
    except Poison:
        cost.note("total_cost")
        return None
