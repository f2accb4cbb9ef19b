"""OpenAI chat completions, completions and embeddings, and the many APIs that answer in their shape.

Embeddings and reranking may tell total_tokens alone (Voyage, Jina, vLLM). Of a stream the last chunk has ``usage`` and
no choices, if asked for with stream_options.include_usage; some leave ``choices`` out altogether, Moonshot puts usage
into the last choice, and Groq into x_groq. https://platform.openai.com/docs/api-reference/chat/object,
https://platform.openai.com/docs/api-reference/chat-streaming,
https://platform.openai.com/docs/api-reference/embeddings, https://console.groq.com/docs/api-reference,
https://docs.voyageai.com/reference/embeddings-api
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import chat_tokens
from tokenmeter.emit.usage.extras import extras, server_tool_calls
from tokenmeter.emit.usage.merge import is_placeholder, merged
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def chat(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    usage = usage_of(response)
    if usage.get("prompt_tokens") is None and total_alone(response):
        return Usage(input_tokens=usage.count("total_tokens"), **about(response))
    known = told(response, usage)
    return Usage(**chat_tokens.tokens(usage, known["model"]), **known)


def told(response: Reader, usage: Reader) -> dict[str, Any]:
    """All but the token classes: what the answer says of itself, its searches and its cost."""
    known = about(response)
    known["tool_calls"] += server_tool_calls(usage)
    return {**known, **extras(usage)}


def usage_of(response: Reader) -> Reader:
    """``usage``, wherever a provider puts it. Raises Poison if it is nowhere."""
    usage = response.part_or_none("usage") or _elsewhere(response)
    if usage is None:
        raise response.missing("usage")
    return usage


def _elsewhere(chunk: Reader) -> Reader | None:
    groq = chunk.part_or_none("x_groq")
    found = groq.part_or_none("usage") if groq else None
    if found is not None:
        return found
    return next((usage for choice in chunk.parts("choices") if (usage := choice.part_or_none("usage"))), None)


def total_alone(response: Reader) -> bool:
    """Whether a total is all input: what was asked makes nothing, it embeds or ranks."""
    return response.get("choices", "output") is None and response.get("data", "results", "embeddings") is not None


def about(response: Reader) -> dict[str, Any]:
    """What a response in this shape says of itself."""
    finish_reason, tool_calls = None, 0
    for choice in response.parts("choices"):
        finish_reason = finish_reason or choice.text("finish_reason")
        message = choice.part_or_none("message")
        if message:
            tool_calls += sum(1 for _ in message.parts("tool_calls"))
            tool_calls += message.get("function_call") is not None
    return {
        "model": response.text("model"),
        "finish_reason": finish_reason,
        "upstream_id": response.text("id"),
        "service_tier": response.text("service_tier"),
        "tool_calls": tool_calls,
    }


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``, which grows into a response without its text.

    Servers that report usage with every chunk (vLLM's continuous_usage_stats) report totals: what is told last counts,
    but a zero tells nothing.
    """
    usage = chunk.part_or_none("usage")
    if usage is not None:
        _fold_usage(seen, usage)
    for name in _SAID_ONCE:
        if name not in seen:
            value = chunk.get(name)
            if value:
                seen[name] = value
    for choice in chunk.parts("choices"):
        delta = choice.part_or_none("delta")
        reason = choice.text("finish_reason")
        if reason is not None and usage is None and (usage := _elsewhere(chunk)) is not None:
            _fold_usage(seen, usage)
        calls = delta.get("tool_calls", "function_call") if delta is not None else None
        if reason is None and calls is None:
            continue
        kept = _kept(seen, choice.detail("index"))
        if reason is not None:
            kept["finish_reason"] = reason
        if delta and calls is not None:
            _fold_calls(kept["message"]["tool_calls"], delta)


_SAID_ONCE = ("id", "model", "service_tier")
"""The same in every chunk, but for those of Azure's first, which is empty."""


def _fold_usage(seen: dict[str, Any], usage: Reader) -> None:
    if not is_placeholder(usage):
        seen["usage"] = merged(seen["usage"], usage.value) if "usage" in seen else usage.value


def _kept(seen: dict[str, Any], index: int) -> dict[str, Any]:
    choices: list[dict[str, Any]] = seen.setdefault("choices", [])
    kept = next((known for known in choices if known["index"] == index), None)
    if kept is None:
        kept = {"index": index, "message": {"tool_calls": []}}
        choices.append(kept)
    return kept


def _fold_calls(known: list[int], delta: Reader) -> None:
    # The pieces of one call share its index; what is kept of a call is that it was made.
    places = [call.detail("index") for call in delta.parts("tool_calls")]
    if delta.get("function_call") is not None:
        places.append(0)
    known.extend(place for place in dict.fromkeys(places) if place not in known)
