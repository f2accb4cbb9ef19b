"""Which of the well-known shapes a response has, for providers that answer in several of them.

Most offer their models behind OpenAI's chat shape, and many behind Anthropic's messages or OpenAI's responses too.
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import anthropic, openai
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    kind = response.text("type")
    if kind in ("message", "message_start"):
        return anthropic.normalise(response)
    return openai.normalise(response)


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk or event of a stream to ``seen``."""
    kind = "" if chunk.get("choices") is not None else chunk.text("type") or ""
    if kind.startswith(("message_", "content_block_")):
        seen["type"] = "message"
        anthropic.fold(seen, chunk)
    else:
        openai.fold(seen, chunk)
