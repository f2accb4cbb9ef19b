"""OpenAI responses: the object, or a stream's response.completed, response.incomplete or response.failed event.

``usage``: input_tokens includes input_tokens_details.{cached_tokens, cache_write_tokens}; output_tokens includes
output_tokens_details.reasoning_tokens. https://platform.openai.com/docs/api-reference/responses/object,
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

ENDS = ("response.completed", "response.incomplete", "response.failed")
"""The events of a stream that hold the whole response."""


def responses(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    usage = response.part("usage")
    input_tokens, output_tokens = usage.count("input_tokens"), usage.count("output_tokens")
    total = usage.count_or_none("total_tokens")
    if total is not None and total != input_tokens + output_tokens:
        raise usage.conflict(f"usage.total_tokens is {total}, input_tokens {input_tokens}, output {output_tokens}")
    sent, made = usage.part_or_none("input_tokens_details"), usage.part_or_none("output_tokens_details")
    short, long = cache_writes(sent) if sent else (0, 0)
    kinds = [item.text("type") or "" for item in response.parts("output")]
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=sent.count_or_zero("cached_tokens") if sent else 0,
        cache_write_tokens=short,
        cache_write_1h_tokens=long,
        input_audio_tokens=sent.count_or_zero("audio_tokens") if sent else 0,
        input_image_tokens=sent.count_or_zero("image_tokens") if sent else 0,
        output_tokens=output_tokens,
        reasoning_tokens=made.count_or_zero("reasoning_tokens") if made else 0,
        output_audio_tokens=made.count_or_zero("audio_tokens") if made else 0,
        output_image_tokens=made.count_or_zero("image_tokens") if made else 0,
        images_out=kinds.count("image_generation_call"),
        tool_calls=sum(kind.endswith("_call") for kind in kinds),
        web_searches=kinds.count("web_search_call"),
        model=response.text("model"),
        finish_reason=_finish_reason(response),
        upstream_id=response.text("id"),
        service_tier=response.text("service_tier"),
    )


def cache_writes(sent: Reader) -> tuple[int, int]:
    """(written to be kept for minutes, written to be kept for hours): OpenAI keeps for 30 minutes or 12 hours.

    Both lifetimes have a price of their own, and our 1h class is the long one.
    """
    written = sent.count_or_zero("cache_write_tokens")
    kept = sent.part_or_none("cache_write_tokens_details")
    long = kept.count_or_zero("ttl_12h_tokens") if kept else 0
    if long > written:
        raise sent.conflict(f"{long} tokens are written for 12 hours, and {written} in all")
    return written - long, long


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``; the last event holds the whole response."""
    if (event.text("type") or "").endswith(".delta"):
        return
    response = event.part_or_none("response")
    if response is None:
        return
    for name in ("id", "model", "service_tier", "status", "incomplete_details"):
        value = response.get(name)
        if value is not None:
            seen[name] = value
    if event.text("type") in ENDS:
        seen["object"] = "response"
        seen["usage"] = response.get("usage")
        seen["output"] = [{"type": item.text("type")} for item in response.parts("output")]


def _finish_reason(response: Reader) -> str | None:
    details = response.part_or_none("incomplete_details")
    return (details.text("reason") if details else None) or response.text("status")
