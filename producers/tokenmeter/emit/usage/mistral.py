"""Mistral: OpenAI's chat shape; agents and conversations add connector_tokens, what connectors fed to the model.

prompt_audio_seconds is a length, not tokens: what transcription is billed by, noted as audio_seconds. The Python client
wraps a stream's chunks in ``data``.
https://docs.mistral.ai/api/#tag/chat, https://docs.mistral.ai/agents/agents_basics
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import chat_tokens, openai_chat
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

SEARCHES = ("web_search", "web_search_premium")


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    response = _unwrapped(response)
    usage = response.part("usage")
    brought = usage.count_or_zero("connector_tokens")
    if not brought:
        figures = chat_tokens.tokens(usage)
    else:
        sent, made = usage.count("prompt_tokens"), usage.count("completion_tokens")
        total = usage.total_or_none("total_tokens")
        if total is not None and abs(total - sent - made - brought) == 1:
            usage.note("total_tokens")
        elif total is not None and total != sent + made + brought:
            raise usage.conflict(f"total_tokens is {total}, its parts are {sent}, {made} and {brought} (connectors)")
        figures = {"input_tokens": sent + brought, "output_tokens": made}
    told = openai_chat.about(response)
    used = usage.part_or_none("connectors")
    if used is not None:
        names = tuple(used.value) if isinstance(used.value, dict) else ()
        told["tool_calls"] += sum(used.count_or_zero(name) for name in names)
        figures["web_searches"] = sum(used.count_or_zero(name) for name in names if name in SEARCHES)
    for output in response.parts("outputs"):
        told["model"] = told["model"] or output.text("model")
    told["upstream_id"] = told["upstream_id"] or response.text("conversation_id")
    heard = usage.get("prompt_audio_seconds")  # an empty object where nothing was heard
    heard = heard if type(heard) in (int, float) and heard > 0 else None
    return Usage(**figures, **told, notes=() if heard is None else (f"audio_seconds={heard}",))


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``."""
    chunk = _unwrapped(chunk)
    if chunk.get("type") is None:
        openai_chat.fold(seen, chunk)
        return
    for name in ("usage", "conversation_id"):
        value = chunk.get(name)
        if value is not None:
            seen[name] = value
    model = chunk.get("model")
    if model is not None:
        seen["outputs"] = [{"model": model}]


def _unwrapped(chunk: Reader) -> Reader:
    inner = chunk.part_or_none("data")
    # Embeddings have a list of that name.
    return inner if inner is not None and not isinstance(inner.value, list | str) else chunk
