"""OpenAI chat completions, completions and embeddings, and the many APIs that answer in their shape.

``usage``: prompt_tokens includes prompt_tokens_details.{cached_tokens, cache_write_tokens, audio_tokens, image_tokens};
completion_tokens includes completion_tokens_details.{reasoning_tokens, audio_tokens, image_tokens}; total_tokens is
their sum. Embeddings have no completion_tokens. Of a stream the last chunk has ``usage`` and no choices, if asked for
with stream_options.include_usage. https://platform.openai.com/docs/api-reference/chat/object,
https://platform.openai.com/docs/api-reference/chat-streaming, https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def chat(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    return Usage(**tokens(response.part("usage")), **about(response))


def tokens(usage: Reader) -> dict[str, Any]:
    """The token classes of a ``usage`` object in OpenAI's shape."""
    sent = usage.part_or_none("prompt_tokens_details")
    made = usage.part_or_none("completion_tokens_details")
    reasoning = made.count_or_zero("reasoning_tokens") if made else 0
    input_tokens = usage.count("prompt_tokens")
    figures: dict[str, Any] = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens(usage, input_tokens, reasoning),
        "reasoning_tokens": reasoning,
    }
    if sent:
        figures["cached_input_tokens"] = sent.count_or_zero("cached_tokens")
        figures["cache_write_tokens"] = sent.count_or_zero("cache_write_tokens")
        figures["input_audio_tokens"] = sent.count_or_zero("audio_tokens")
        figures["input_image_tokens"] = sent.count_or_zero("image_tokens")
    if made:
        figures["output_audio_tokens"] = made.count_or_zero("audio_tokens")
        figures["output_image_tokens"] = made.count_or_zero("image_tokens")
    return figures


def output_tokens(usage: Reader, input_tokens: int, reasoning_tokens: int) -> int:
    """What was made, reasoning included, held against ``total_tokens`` where it is given.

    Some that answer in this shape leave reasoning out of completion_tokens (xAI does): then the total is larger by just
    that, and it is added. Any other difference is an error, for nobody can say which figure is billed.
    """
    total = usage.count_or_none("total_tokens")
    made = usage.count_or_none("completion_tokens")
    if made is None:
        # Embeddings have none, and their total proves it.
        if total is None or total != input_tokens:
            raise usage.missing("completion_tokens")
        return 0
    if total is None or total == input_tokens + made:
        return made
    if total == input_tokens + made + reasoning_tokens:
        return made + reasoning_tokens
    raise usage.conflict(f"usage.total_tokens is {total}, prompt_tokens {input_tokens} and completion_tokens {made}")


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

    The last ``usage`` counts: servers that report it with every chunk (vLLM's continuous_usage_stats) report totals.
    """
    usage = chunk.get("usage")
    if usage is not None:
        seen["usage"] = usage
    for name in _SAID_ONCE:
        if name not in seen:
            value = chunk.get(name)
            if value:
                seen[name] = value
    for choice in chunk.parts("choices"):
        delta = choice.part_or_none("delta")
        reason = choice.text("finish_reason")
        calls = delta.get("tool_calls", "function_call") if delta is not None else None
        if reason is None and calls is None:
            continue
        choices = seen.setdefault("choices", [])
        index = choice.count_or_zero("index")
        kept = next((known for known in choices if known["index"] == index), None)
        if kept is None:
            kept = {"index": index, "message": {"tool_calls": []}}
            choices.append(kept)
        if reason is not None:
            kept["finish_reason"] = reason
        if delta and calls is not None:
            _fold_calls(kept["message"]["tool_calls"], delta)


_SAID_ONCE = ("id", "model", "service_tier")
"""The same in every chunk, but for those of Azure's first, which is empty."""


def _fold_calls(known: list[int], delta: Reader) -> None:
    # The pieces of one call share its index; what is kept of a call is that it was made.
    places = [call.count_or_zero("index") for call in delta.parts("tool_calls")]
    if delta.get("function_call") is not None:
        places.append(0)
    known.extend(place for place in dict.fromkeys(places) if place not in known)
