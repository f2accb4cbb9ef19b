"""Gemini Live: each message of the server tells what it used itself, so a session used their sum.

https://ai.google.dev/api/live#UsageMetadata
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import gemini
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

_SUMMED: Any = ("summed",)
_MESSAGES = (
    "serverContent",
    "server_content",
    "setupComplete",
    "setup_complete",
    "toolCall",
    "tool_call",
    "goAway",
    "go_away",
)


def is_live(message: Reader) -> bool:
    """Whether a message is one of a live session's."""
    if message.get(*_MESSAGES) is not None:
        return True
    usage = message.part_or_none("usageMetadata", "usage_metadata")
    return usage is not None and usage.get("responseTokenCount", "response_token_count") is not None


def normalise(session: Reader) -> Usage:
    """A session that was gathered, or one message. Raises Poison naming the first field that is missing."""
    summed = gemini.gathered(session, _SUMMED)
    if summed is None:
        usage = session.part("usageMetadata", "usage_metadata")
        return Usage(**gemini.tokens(usage), tool_calls=_calls(session))
    return Usage(**summed, tool_calls=session.count_or_zero("tool_calls"))


def fold(seen: dict[str, Any], message: Reader) -> None:
    """Add a message to ``seen``."""
    seen["tool_calls"] = seen.get("tool_calls", 0) + _calls(message)
    usage = message.part_or_none("usageMetadata", "usage_metadata")
    if usage is None or usage.get("promptTokenCount", "prompt_token_count") is None:
        return
    summed = seen.setdefault(_SUMMED, {})
    for name, count in gemini.tokens(usage).items():
        summed[name] = summed.get(name, 0) + count


def _calls(message: Reader) -> int:
    call = message.part_or_none("toolCall", "tool_call")
    return sum(1 for _ in call.parts("functionCalls", "function_calls")) if call else 0
