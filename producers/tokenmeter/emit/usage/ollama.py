"""Ollama: /api/chat, /api/generate and /api/embed.

The chunk with ``done`` has prompt_eval_count and eval_count, at its root. Embedding has prompt_eval_count alone. Old
servers leave prompt_eval_count out when the whole prompt was cached: that is an error here, for the count is unknown.
https://docs.ollama.com/api/chat, https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the missing field, or saying that this is not the final chunk."""
    embedded = response.get("embeddings") is not None
    if response.get("done") is False:
        raise response.refused("done is false: usage comes with the final chunk")
    message = response.part_or_none("message")
    return Usage(
        input_tokens=response.count("prompt_eval_count"),
        output_tokens=0 if embedded else response.count("eval_count"),
        tool_calls=sum(1 for _ in message.parts("tool_calls")) if message else 0,
        model=response.text("model"),
        finish_reason=response.text("done_reason"),
    )


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``."""
    for name in ("model", "done_reason", "prompt_eval_count", "eval_count", "done"):
        value = chunk.get(name)
        if value is not None:
            seen[name] = value
    message = chunk.part_or_none("message")
    calls = seen.setdefault("message", {"tool_calls": []})["tool_calls"]
    calls.extend({} for _ in (message.parts("tool_calls") if message else ()))
