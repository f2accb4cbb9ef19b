"""Anthropic messages, also as Vertex and Bedrock's InvokeModel return them.

``usage``: input_tokens is what was neither read from nor written to the cache, so cache_read_input_tokens and
cache_creation_input_tokens are added to it; cache_creation splits the latter by lifetime. output_tokens includes
output_tokens_details.thinking_tokens. A stream tells its input with message_start and its output, as running totals,
with message_delta. ``iterations``: a compaction's tokens are not in the totals and are added; an advisor is another
model. https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/docs/build-with-claude/streaming,
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

TOOL_BLOCKS = ("tool_use", "server_tool_use", "mcp_tool_use")
_SUMMED = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def normalise(response: Reader) -> Usage:
    """A message, a message_start event or what ``fold`` gathered. Raises Poison naming the first missing field."""
    if response.get("usage") is None:
        response = response.part_or_none("message") or response
    usage = response.part("usage")
    figures = tokens(usage)
    advised: list[Usage] = []
    for turn in usage.parts("iterations"):
        kind = turn.text("type")
        if kind == "compaction":
            for name, extra in tokens(turn).items():
                figures[name] += extra
        elif kind == "advisor_message":
            advised.append(Usage(**tokens(turn), model=turn.text("model")))
    server = usage.part_or_none("server_tool_use")
    return Usage(
        **figures,
        tool_calls=sum(block.text("type") in TOOL_BLOCKS for block in response.parts("content")),
        web_searches=server.count_or_zero("web_search_requests") if server else 0,
        model=response.text("model"),
        finish_reason=response.text("stop_reason"),
        upstream_id=response.text("id"),
        service_tier=usage.text("service_tier"),
        also=tuple(advised),
    )


def tokens(usage: Reader) -> dict[str, Any]:
    """The token classes of a ``usage`` object, cache added to input."""
    fresh = usage.count("input_tokens")
    cached = usage.count_or_zero("cache_read_input_tokens")
    short, long = cache_writes(usage)
    made = usage.part_or_none("output_tokens_details")
    values = (
        fresh + cached + short + long,
        cached,
        short,
        long,
        usage.count("output_tokens"),
        made.count_or_zero("thinking_tokens") if made else 0,
    )
    return dict(zip(_SUMMED, values, strict=True))


def cache_writes(usage: Reader) -> tuple[int, int]:
    """(written for 5 minutes, written for an hour).

    cache_creation_input_tokens is the total and may grow during a stream, the split is told at its start: what the
    split does not explain was written for 5 minutes, the default.
    """
    split = usage.part_or_none("cache_creation")
    short = split.count_or_zero("ephemeral_5m_input_tokens") if split else 0
    long = split.count_or_zero("ephemeral_1h_input_tokens") if split else 0
    total = usage.count_or_none("cache_creation_input_tokens")
    if total is None:
        return short, long
    if total < short + long:
        raise usage.conflict(
            f"cache_creation_input_tokens is {total}, its parts for 5 m and 1 h are {short} and {long}"
        )
    return total - long, long


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``, which grows into a message without its text."""
    kind = event.text("type")
    if kind == "message_start":
        message = event.part("message")
        seen.update(id=message.get("id"), model=message.get("model"), content=[])
        seen["usage"] = _plain(message.part("usage"))
    elif kind == "content_block_start":
        block = event.part("content_block").text("type")
        seen.setdefault("content", []).append({"type": block})
    elif kind == "message_delta":
        delta = event.part_or_none("delta")
        seen["stop_reason"] = delta.get("stop_reason") if delta else None
        usage = event.part_or_none("usage")
        if usage:
            seen["usage"] = {**seen.get("usage", {}), **_plain(usage)}


_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
    "iterations",
)


def _plain(usage: Reader) -> dict[str, Any]:
    # A null in a delta says nothing; it must not hide what message_start said.
    return {name: value for name in _FIELDS if (value := usage.get(name)) is not None}
