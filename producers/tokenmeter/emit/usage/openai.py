"""OpenAI and Azure OpenAI: which of their shapes a response has.

Azure answers in OpenAI's shapes and adds prompt_filter_results.
https://platform.openai.com/docs/api-reference, https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import openai_chat, openai_responses
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.openai_audio import audio
from tokenmeter.emit.usage.openai_chat import chat
from tokenmeter.emit.usage.openai_images import IMAGE_DONE, images
from tokenmeter.emit.usage.openai_responses import responses
from tokenmeter.emit.usage.reader import Reader

REALTIME = "realtime.response"


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("usage") is None:
        # A stream's last event, or realtime's response.done.
        response = response.part_or_none("response") or response
    usage = response.part("usage")
    if usage.get("prompt_tokens") is not None:
        return chat(response)
    kind = response.text("object") or response.text("type") or ""
    if kind == REALTIME or kind.startswith(("transcript.", "speech.")) or usage.get("type", "input_token_details"):
        return audio(response)
    if kind.startswith("image_") or response.get("data", "b64_json") is not None:
        return images(response)
    if usage.get("input_tokens") is not None:
        return responses(response)
    raise usage.missing("prompt_tokens")


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk or event of a stream to ``seen``, which grows into a response without its text."""
    # The commonest first: asking an object for what it has not is slow.
    if chunk.get("choices") is not None:
        openai_chat.fold(seen, chunk)
        return
    kind = chunk.text("type") or ""
    if kind.startswith("response."):
        openai_responses.fold(seen, chunk)
    elif kind:
        # Audio and images: the last event has the usage.
        usage = chunk.get("usage")
        if usage is not None:
            seen.update(type=kind, usage=usage)
        if kind in IMAGE_DONE:
            seen.setdefault("data", []).append({})
