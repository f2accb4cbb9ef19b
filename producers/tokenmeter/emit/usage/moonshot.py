"""Moonshot (Kimi): OpenAI's chat shape with ``usage.cached_tokens``; of a stream, usage is in the last choice too.

https://platform.moonshot.ai/docs/api/chat
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenmeter.emit.usage import compatible
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("usage") is None and response.get("choices") is not None:
        gathered: dict[str, Any] = {}
        fold(gathered, response)
        response = Reader(response.family, gathered)
    found = compatible.normalise(response)
    usage = response.part_or_none("usage")
    cached = usage.count_or_none("cached_tokens") if usage else None
    return found if cached is None else replace(found, cached_input_tokens=cached)


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``."""
    compatible.fold(seen, chunk)
    for choice in chunk.parts("choices"):
        usage = choice.get("usage")
        if usage is not None:
            seen["usage"] = usage
