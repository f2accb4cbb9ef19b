"""Gemini Interactions: an object of its own, with totals by kind.

``usage``: total_input_tokens includes total_cached_tokens; total_tool_use_tokens is input beside it and
total_thought_tokens output beside total_output_tokens; total_tokens is the sum of the four. A stream's last event
(event_type interaction.complete, later interaction.completed) holds the interaction without its content.
https://ai.google.dev/gemini-api/docs/interactions, https://ai.google.dev/api/interactions-api
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.merge import merged
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

SEARCH = "google_search_call"


def normalise(interaction: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if interaction.get("usage") is None:
        interaction = interaction.part_or_none("interaction") or interaction
    usage = interaction.part("usage")
    sent = usage.count("total_input_tokens") + usage.count_or_zero("total_tool_use_tokens")
    thoughts = usage.count_or_zero("total_thought_tokens")
    made = usage.count("total_output_tokens") + thoughts
    total = usage.total_or_none("total_tokens")
    if total is not None and abs(total - sent - made) > 1:
        raise usage.conflict(f"usage.total_tokens is {total}, its parts come to {sent + made}")
    if total is not None and total != sent + made:
        usage.note("total_tokens")
    kinds = [item.text("type") or "" for item in interaction.parts("outputs", "steps")]
    return Usage(
        input_tokens=sent,
        cached_input_tokens=usage.detail("total_cached_tokens"),
        input_audio_tokens=_of(usage, "input_tokens_by_modality", "audio"),
        input_image_tokens=_of(usage, "input_tokens_by_modality", "image"),
        output_tokens=made,
        reasoning_tokens=thoughts,
        output_audio_tokens=_of(usage, "output_tokens_by_modality", "audio"),
        output_image_tokens=_of(usage, "output_tokens_by_modality", "image"),
        images_out=kinds.count("image"),
        tool_calls=sum(kind.endswith("_call") for kind in kinds),
        web_searches=kinds.count(SEARCH),
        model=interaction.text("model"),
        finish_reason=interaction.text("status"),
        upstream_id=interaction.text("id"),
        service_tier=interaction.text("service_tier"),
    )


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``."""
    begun = event.part_or_none("content", "step")
    if begun is not None and (event.text("event_type", "type") or "").endswith(".start"):
        seen.setdefault("outputs", []).append({"type": begun.text("type")})
    interaction = event.part_or_none("interaction")
    if interaction is None:
        return
    for name in ("id", "model", "status", "service_tier", "usage"):
        value = interaction.get(name)
        if value is not None:
            seen[name] = merged(seen.get(name), value)


def _of(usage: Reader, place: str, modality: str) -> int:
    told = (part for part in usage.parts(place) if (part.text("modality") or "").lower() == modality)
    return sum(part.detail("tokens") for part in told)
