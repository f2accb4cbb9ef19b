"""Cohere: chat (v2 and v1), embed, rerank and classify.

v2 has ``usage``, v1 and the other endpoints ``meta``; both hold billed_units, what is charged, and tokens, what the
model saw, the template around the caller's text included. We count billed units, for they are the money. cached_tokens
counts hits among the latter; a cache holds the beginning of a prompt, so hits cover the unbilled template first.
Reranking is billed by search units, which are counted as web_searches; LiteLLM tells the reranking of others in this
shape, billed by total_tokens. Counts come as 7.0.
https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream,
https://docs.cohere.com/reference/embed, https://docs.cohere.com/reference/rerank
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first missing field."""
    ended = response.part_or_none("delta", "response")
    response = ended if ended is not None and response.get("usage", "meta") is None else response
    usage = response.part("usage", "meta")
    billed, seen = usage.part_or_none("billed_units"), usage.part_or_none("tokens")
    if billed is None and seen is None:
        raise usage.missing("billed_units")
    ranked = response.get("results") is not None
    figures = _billed(billed, seen, ranked) if billed is not None else _processed(seen or usage, ranked)
    if billed is not None and response.get("finish_reason", "message") is not None:
        # An answer was made, so both sides were billed.
        billed.count("input_tokens"), billed.count("output_tokens")
    cached = usage.detail("cached_tokens")
    if cached and seen is not None:
        unbilled = max(0, seen.count("input_tokens") - figures["input_tokens"])
        figures["cached_input_tokens"] = max(0, cached - unbilled)
    message = response.part_or_none("message") or response
    return Usage(
        **figures,
        tool_calls=sum(1 for _ in message.parts("tool_calls")) or response.count_or_zero("folded_tool_calls"),
        model=response.text("model"),
        finish_reason=response.text("finish_reason"),
        upstream_id=response.text("id", "generation_id", "response_id"),
    )


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream (v2: type, v1: event_type) to ``seen``."""
    kind = event.text("type", "event_type") or ""
    identity = event.get("id", "generation_id")
    if identity is not None:
        seen["id"] = identity
    if kind == "tool-call-start":
        seen["folded_tool_calls"] = seen.get("folded_tool_calls", 0) + 1
    ended = event.part_or_none("delta") if kind == "message-end" else event.part_or_none("response")
    if kind in ("message-end", "stream-end") and ended is not None:
        seen.update({name: ended.get(name) for name in ("usage", "meta", "finish_reason", "tool_calls")})


def _billed(billed: Reader, seen: Reader | None, ranked: bool) -> dict[str, Any]:
    searches = billed.count_or_none("search_units")
    images = billed.detail("image_tokens")
    sent = billed.count_or_none("input_tokens", "total_tokens") if ranked else billed.count_or_none("input_tokens")
    if sent is None:
        text = billed.count_or_none("text_tokens")
        sent = None if text is None and not images else (text or 0) + images
    made = billed.count_or_none("output_tokens")
    units = (searches, billed.count_or_none("images"), billed.count_or_none("classifications"))
    if sent is None and made is None and not any(unit is not None for unit in units):
        if seen is not None:
            return _processed(seen, ranked)
        raise billed.missing("input_tokens")
    return {
        "input_tokens": sent or 0,
        "output_tokens": made or 0,
        "input_image_tokens": images,
        "images_in": billed.count_or_zero("images"),
        "web_searches": searches or 0,
    }


def _processed(seen: Reader, ranked: bool) -> dict[str, Any]:
    # What is ranked is read, and nothing made of it.
    output_tokens = seen.count_or_zero("output_tokens") if ranked else seen.count("output_tokens")
    return {"input_tokens": seen.count("input_tokens"), "output_tokens": output_tokens}
