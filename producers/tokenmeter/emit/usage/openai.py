"""What is left of OpenAI's shapes when neither ``object`` nor ``type`` says which: a usage alone tells by its names.

https://platform.openai.com/docs/api-reference, https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.openai_responses import responses
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the field that is missing."""
    usage = response.part("usage")
    if usage.get("input_tokens") is not None:
        return responses(response)
    raise usage.missing("prompt_tokens")


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """A chunk of no known shape tells nothing of its usage: a ping, a piece of speech."""
