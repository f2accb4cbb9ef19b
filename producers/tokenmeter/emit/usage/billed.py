"""Answers that are billed by something else than tokens and say how much of it: pages, seconds, images.

Their tokens are unknown, which the notes say. Mistral OCR: usage_info.pages_processed. OpenAI video: ``seconds`` of the
job, a string. Imagen: predictions that hold an image each. https://docs.mistral.ai/api/#tag/ocr,
https://platform.openai.com/docs/api-reference/videos/object,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from tokenmeter.emit.usage.model import UNKNOWN_TOKENS, Usage
from tokenmeter.emit.usage.reader import Reader

_SECONDS_MAX = 10**9


def pages(response: Reader) -> Usage:
    """A document that was read page by page."""
    read = response.part("usage_info", "usageInfo").count("pages_processed", "pagesProcessed")
    return Usage(notes=(*UNKNOWN_TOKENS, f"pages={read}"), model=response.text("model"))


def video(response: Reader) -> Usage:
    """A video that is made, or will be."""
    length = seconds(response, "seconds")
    if length != length.to_integral_value():
        raise response.refused("seconds of a video is no whole number")
    failed = response.text("status") == "failed"
    return Usage(
        video_seconds=0 if failed else int(length),
        model=response.text("model"),
        finish_reason=response.text("status"),
        upstream_id=response.text("id"),
        error_class="failed" if failed else None,
        notes=UNKNOWN_TOKENS,
    )


def pictures(response: Reader) -> Usage:
    """Predictions that are images, each in one of them."""
    made = sum(item.get("bytesBase64Encoded", "gcsUri") is not None for item in response.parts("predictions"))
    return Usage(images_out=made, notes=UNKNOWN_TOKENS)


def seconds(part: Reader, name: str) -> Decimal:
    """A length, number or text. Raises Poison (``usage_shape``) for anything else."""
    found = part.get(name)
    try:
        length = Decimal(str(found))
    except InvalidOperation:
        length = Decimal("NaN")
    if isinstance(found, bool) or not length.is_finite() or not 0 <= length <= _SECONDS_MAX:
        raise part.refused(f"{name} is no length in seconds")
    return length
