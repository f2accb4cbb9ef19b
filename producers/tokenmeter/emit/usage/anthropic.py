"""Anthropic messages, also as Vertex and Bedrock's InvokeModel return them.

``usage``: input_tokens is what was neither read from nor written to the cache, so cache_read_input_tokens and
cache_creation_input_tokens are added to it; cache_creation splits the latter by lifetime. output_tokens includes
output_tokens_details.thinking_tokens. A stream tells its input with message_start and its output, as running totals,
with message_delta; compatible servers repeat the input there as zero, or begin with zeros. ``iterations``: a
compaction's tokens are not in the totals and are added; an advisor is another model; after a fallback another model
served than the message names. ``speed`` fast is a tier of its own; inference_geo is where it ran.
https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/docs/build-with-claude/streaming,
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.merge import merged
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

FAST = "fast"
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
    if not figures["output_tokens"] and response.get("untold"):
        usage.note("output_tokens")
    others: list[Usage] = []
    served = None
    for turn in usage.parts("iterations"):
        kind, model = turn.text("type"), turn.text("model")
        if kind == "compaction":
            for name, extra in tokens(turn).items():
                figures[name] += extra
        elif kind == "advisor_message":
            others.append(Usage(**tokens(turn), model=model))
        elif kind == "fallback_message":
            served = model
    server = usage.part_or_none("server_tool_use")
    blocks = [*response.parts("content")]
    return Usage(
        **figures,
        # An advisor is asked as a tool is; it is a call of a model, and counted as one.
        tool_calls=max(0, sum(block.text("type") in TOOL_BLOCKS for block in blocks) - len(others)),
        web_searches=server.detail("web_search_requests") if server else 0,
        model=served or _fallen_back_to(blocks) or response.text("model"),
        finish_reason=response.text("stop_reason"),
        upstream_id=response.text("id"),
        service_tier=FAST if usage.text("speed") == FAST else usage.text("service_tier"),
        region=_region(usage.text("inference_geo")),
        also=tuple(others),
    )


def _fallen_back_to(blocks: list[Reader]) -> str | None:
    """The model that took over last, as the content's fallback blocks tell it."""
    found = None
    for block in blocks:
        heir = block.part_or_none("to") if block.text("type") == "fallback" else None
        found = (heir.text("model") if heir else None) or found
    return found


def _region(geo: str | None) -> str | None:
    # Anywhere is where it runs unless somebody asked for a place, which has a price of its own.
    return None if geo in ("not_available", "global") else geo


def tokens(usage: Reader) -> dict[str, Any]:
    """The token classes of a ``usage`` object, cache added to input."""
    fresh = usage.count("input_tokens")
    cached = usage.detail("cache_read_input_tokens")
    short, long = cache_writes(usage)
    made = usage.part_or_none("output_tokens_details")
    values = (
        fresh + cached + short + long,
        cached,
        short,
        long,
        usage.count("output_tokens"),
        made.detail("thinking_tokens") if made else 0,
    )
    return dict(zip(_SUMMED, values, strict=True))


def cache_writes(usage: Reader) -> tuple[int, int]:
    """(written for 5 minutes, written for an hour).

    cache_creation_input_tokens is the total and may grow during a stream, the split is told at its start: what the
    split does not explain was written for 5 minutes, the default. A split beyond its total is clamped.
    """
    split = usage.part_or_none("cache_creation")
    short = split.detail("ephemeral_5m_input_tokens") if split else 0
    long = split.detail("ephemeral_1h_input_tokens") if split else 0
    total = usage.count_or_none("cache_creation_input_tokens")
    if total is None:
        return short, long
    if split and total < short + long:
        split.note("ephemeral_1h_input_tokens" if total < long else "ephemeral_5m_input_tokens")
        long = min(long, total)
    return total - long, long


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``, which grows into a message without its text."""
    kind = event.text("type")
    if kind == "message_start":
        message = event.part("message")
        seen.update(id=message.get("id"), model=message.get("model"), content=[])
        usage = message.part_or_none("usage")
        seen["usage"] = _told(usage) if usage else {}
        # A zero here stands for what is still to come.
        seen["untold"] = not seen["usage"].get("output_tokens")
    elif kind == "content_block_start":
        block = event.part("content_block")
        seen.setdefault("content", []).append(_kept(block))
    elif kind == "message_delta":
        delta = event.part_or_none("delta")
        seen["stop_reason"] = delta.get("stop_reason") if delta else None
        usage = event.part_or_none("usage")
        if usage:
            seen["usage"] = merged(seen.get("usage", {}), _told(usage))
            seen["untold"] = usage.get("output_tokens") is None and seen.get("untold", False)


def _kept(block: Reader) -> dict[str, Any]:
    kind = block.text("type")
    heir = block.part_or_none("to") if kind == "fallback" else None
    return {"type": kind} if heir is None else {"type": kind, "to": {"model": heir.text("model")}}


_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_FIELDS = (
    *_INPUT,
    "output_tokens",
    "cache_creation",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
    "speed",
    "inference_geo",
    "iterations",
)


def _told(usage: Reader) -> dict[str, Any]:
    """What a usage tells. A null in a delta says nothing; nor does an input of zeros alone, for no prompt is empty."""
    told = {name: value for name in _FIELDS if (value := usage.get(name)) is not None}
    if not any(told.get(name) for name in _INPUT):
        told.pop("input_tokens", None)
    return told
