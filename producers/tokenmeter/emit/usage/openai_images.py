"""OpenAI images (GPT Image models): input_tokens and output_tokens with image tokens in their details.

Most image models tell no tokens: they are billed by the number of images, which is known. LiteLLM tells the figures in
the names of chat as well, and zeros where there are none. https://platform.openai.com/docs/api-reference/images/object
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.extras import extras
from tokenmeter.emit.usage.merge import is_placeholder
from tokenmeter.emit.usage.model import UNKNOWN_TOKENS, Usage
from tokenmeter.emit.usage.reader import Reader

IMAGE_DONE = ("image_generation.completed", "image_edit.completed")
"""The event of a stream that holds one image and the usage."""


def images(response: Reader) -> Usage:
    """Raises Poison naming the missing field. Drawing by code (``svg_usage``) is a call on a model of its own."""
    usage = response.part_or_none("usage")
    made = sum(1 for _ in response.parts("data")) or int(response.text("type") in IMAGE_DONE)
    found: dict[str, Any] = {"images_out": made, "model": response.text("model"), **(extras(usage) if usage else {})}
    if made and (usage is None or is_placeholder(usage)):
        return Usage(**found, notes=UNKNOWN_TOKENS)
    drawn = response.part_or_none("svg_usage")
    return Usage(**_tokens(response.part("usage")), **found, also=(_drawn(drawn),) if drawn else ())


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``; the event of an image that is done has the usage."""
    kind = event.text("type") or ""
    usage = event.get("usage")
    if usage is not None:
        seen.update(type=kind, usage=usage)
    if kind in IMAGE_DONE:
        seen.setdefault("data", []).append({})


def _tokens(usage: Reader) -> dict[str, Any]:
    sent = usage.part_or_none("input_tokens_details", "prompt_tokens_details")
    made = usage.part_or_none("output_tokens_details", "completion_tokens_details")
    output_tokens = usage.count("output_tokens", "completion_tokens")
    return {
        "input_tokens": usage.count("input_tokens", "prompt_tokens"),
        "cached_input_tokens": sent.detail("cached_tokens") if sent else 0,
        "input_image_tokens": sent.detail("image_tokens") if sent else 0,
        "output_tokens": output_tokens,
        # Without details everything made is image: older responses have text in nothing but their input.
        "output_image_tokens": made.detail("image_tokens") if made else output_tokens,
    }


def _drawn(usage: Reader) -> Usage:
    return Usage(
        input_tokens=usage.count("input_tokens"),
        output_tokens=usage.count("output_tokens"),
        reasoning_tokens=usage.detail("reasoning_tokens"),
        model=usage.text("model"),
    )
