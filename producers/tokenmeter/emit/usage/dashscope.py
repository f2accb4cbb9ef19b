"""Alibaba Model Studio (Qwen, DashScope): its native API.

Native ``usage``: input_tokens and output_tokens, with prompt_tokens_details.{cached_tokens,
cache_creation_input_tokens} and input_tokens_details / output_tokens_details by modality (older models: image_tokens
and audio_tokens beside the totals); plugins.search.count. A stream's chunks carry running totals. Embedding and
reranking report total_tokens alone. https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope,
https://www.alibabacloud.com/help/en/model-studio/context-cache,
https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.merge import merged
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    usage = response.part("usage")
    output = response.part("output")
    if usage.get("input_tokens") is None and output.get("embeddings", "results") is not None:
        return Usage(input_tokens=usage.count("total_tokens"), upstream_id=response.text("request_id"))
    cache = usage.part_or_none("prompt_tokens_details")
    sent, made = usage.part_or_none("input_tokens_details"), usage.part_or_none("output_tokens_details")
    plugins = usage.part_or_none("plugins")
    search = plugins.part_or_none("search") if plugins else None
    finish_reason, tool_calls = _choices(output)
    return Usage(
        input_tokens=usage.count("input_tokens"),
        cached_input_tokens=cache.detail("cached_tokens") if cache else 0,
        cache_write_tokens=cache.detail("cache_creation_input_tokens") if cache else 0,
        input_audio_tokens=(sent or usage).detail("audio_tokens"),
        input_image_tokens=(sent or usage).detail("image_tokens"),
        output_tokens=usage.count("output_tokens"),
        reasoning_tokens=made.detail("reasoning_tokens") if made else 0,
        output_audio_tokens=made.detail("audio_tokens") if made else 0,
        output_image_tokens=made.detail("image_tokens") if made else 0,
        tool_calls=tool_calls,
        web_searches=search.detail("count") if search else 0,
        model=response.text("model"),
        finish_reason=finish_reason,
        upstream_id=response.text("request_id"),
    )


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``."""
    output = chunk.part_or_none("output")
    if output is None:
        return
    for name in ("usage", "request_id", "model"):
        value = chunk.get(name)
        if value is not None:
            seen[name] = merged(seen.get(name), value)
    finish_reason, tool_calls = _choices(output)
    known = seen.setdefault("output", {"choices": [{"message": {"tool_calls": []}}]})["choices"][0]
    known["finish_reason"] = finish_reason or known.get("finish_reason")
    # With incremental output a call may be told in one chunk only, without it in each.
    known["message"]["tool_calls"] = [{}] * max(tool_calls, len(known["message"]["tool_calls"]))


def _choices(output: Reader) -> tuple[str | None, int]:
    finish_reason, tool_calls = output.text("finish_reason"), 0
    for choice in output.parts("choices"):
        finish_reason = finish_reason or choice.text("finish_reason")
        message = choice.part_or_none("message")
        tool_calls += sum(1 for _ in message.parts("tool_calls")) if message else 0
    # Running answers say "null" until they end.
    return (None if finish_reason == "null" else finish_reason), tool_calls
