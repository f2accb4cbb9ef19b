"""OpenAI images (GPT Image models): input_tokens and output_tokens with image tokens in their details.

https://platform.openai.com/docs/api-reference/images/object
"""

from __future__ import annotations

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

IMAGE_DONE = ("image_generation.completed", "image_edit.completed")
"""The event of a stream that holds one image and the usage."""


def images(response: Reader) -> Usage:
    """Raises Poison naming the missing field. Drawing by code (``svg_usage``) is a call on a model of its own."""
    usage = response.part("usage")
    sent, made = usage.part_or_none("input_tokens_details"), usage.part_or_none("output_tokens_details")
    output_tokens = usage.count("output_tokens")
    drawn = response.part_or_none("svg_usage")
    return Usage(
        input_tokens=usage.count("input_tokens"),
        cached_input_tokens=sent.count_or_zero("cached_tokens") if sent else 0,
        input_image_tokens=sent.count_or_zero("image_tokens") if sent else 0,
        output_tokens=output_tokens,
        # Without details everything made is image: older responses have text in nothing but their input.
        output_image_tokens=made.count_or_zero("image_tokens") if made else output_tokens,
        images_out=sum(1 for _ in response.parts("data")) or response.text("type") in IMAGE_DONE,
        model=response.text("model"),
        also=(_drawn(drawn),) if drawn else (),
    )


def _drawn(usage: Reader) -> Usage:
    return Usage(
        input_tokens=usage.count("input_tokens"),
        output_tokens=usage.count("output_tokens"),
        reasoning_tokens=usage.count_or_zero("reasoning_tokens"),
        model=usage.text("model"),
    )
