"""The token classes of a ``usage`` object in OpenAI's chat names, in every dialect of it that is known.

prompt_tokens includes what was read from a cache and written to it; who serves decides what those fields are called,
and the names do not collide, so all are looked for whoever serves. Reasoning is part of completion_tokens, except where
the total or the dialect says that it stands beside it. https://platform.openai.com/docs/api-reference/chat/object,
https://docs.litellm.ai/docs/completion/usage, https://api-docs.deepseek.com/guides/kv_cache,
https://platform.moonshot.ai/docs/api/chat, https://docs.mistral.ai/api/#tag/chat,
https://docs.perplexity.ai/api-reference/chat-completions-post, https://ai.google.dev/gemini-api/docs/openai,
https://docs.x.ai/docs/guides/reasoning
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.reader import Reader

_READ = ("cached_tokens",)
_READ_BESIDE = ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
_SPLIT = ("cache_creation_token_details", "cache_creation", "cache_write_tokens_details")
_SHORT = ("ephemeral_5m_input_tokens", "ttl_30m_tokens")
_LONG = ("ephemeral_1h_input_tokens", "ephemeral_12h_input_tokens", "ttl_12h_tokens")


def tokens(usage: Reader, model: str | None = None) -> dict[str, Any]:
    """Raises Poison naming the first total that is missing, or that contradicts the others."""
    sent = usage.part_or_none("prompt_tokens_details", "prompt_token_details", "input_tokens_details")
    made = usage.part_or_none("completion_tokens_details", "completion_token_details")
    prompt = usage.count("prompt_tokens")
    reasoning = (made.detail("reasoning_tokens") if made else 0) or usage.detail("reasoning_tokens")
    output, thoughts = _output(usage, prompt, reasoning, model)
    figures: dict[str, Any] = {
        # Perplexity bills the pages it read as input, and counts them beside the prompt.
        "input_tokens": prompt + usage.detail("citation_tokens"),
        "cached_input_tokens": _read(sent, usage, prompt),
        **writes(sent, usage),
        "output_tokens": output,
        "reasoning_tokens": thoughts,
    }
    if sent:
        figures["input_audio_tokens"] = sent.detail("audio_tokens")
        figures["input_image_tokens"] = sent.detail("image_tokens")
    if made:
        figures["output_audio_tokens"] = made.detail("audio_tokens")
        figures["output_image_tokens"] = made.detail("image_tokens")
    return figures


def writes(sent: Reader | None, usage: Reader) -> dict[str, int]:
    """What was written to the cache, by lifetime. What a split does not explain was written for the short one."""
    written = _first(sent, _WRITTEN, usage, _WRITTEN)
    for place in (sent, usage):
        split = place.part_or_none(*_SPLIT) if place else None
        long = sum(split.detail(name) for name in _LONG) if split else 0
        if split and not written:
            written = long + sum(split.detail(name) for name in _SHORT)
        if split and long:
            long = split.at_most(written, _LONG[0], long)
            return {"cache_write_tokens": written - long, "cache_write_1h_tokens": long}
    return {"cache_write_tokens": written}


def _output(usage: Reader, sent: int, reasoning: int, model: str | None) -> tuple[int, int]:
    """(made in all, of which reasoning), held against ``total_tokens`` where it is given.

    Some leave reasoning out of completion_tokens (xAI): then the total is larger by just that, and it is added.
    Perplexity leaves it out of the total, too; Gemini tells it in the total alone. A total that is one token off is
    noted. Any other difference is an error, for nobody can say which figure is billed.
    """
    total = usage.total_or_none("total_tokens")
    made = usage.count_or_none("completion_tokens")
    if made is None:
        # Embeddings have none, and their total proves it.
        if usage.count_or_none("total_tokens") != sent:
            raise usage.missing("completion_tokens")
        return 0, 0
    beside = made + reasoning
    if total is None or total == sent + made:
        return (beside if _is_perplexity(usage) else made), reasoning
    if total == sent + beside:
        return beside, reasoning
    for answer in (made, beside):
        if abs(total - sent - answer) == 1:
            usage.note("total_tokens")
            return answer, reasoning
    if total > sent + made and (usage.family == "gemini" or is_gemini(model)):
        return total - sent, total - sent - made
    raise usage.conflict(f"usage.total_tokens is {total}, prompt_tokens {sent} and completion_tokens {made}")


def is_gemini(model: str | None) -> bool:
    """Whether a model is one of Google's Gemini, by its name at whatever host."""
    return (model or "").rpartition("/")[2].startswith("gemini-")


def _is_perplexity(usage: Reader) -> bool:
    return usage.get("citation_tokens", "num_search_queries") is not None


def _read(sent: Reader | None, usage: Reader, prompt: int) -> int:
    cached = _first(sent, _READ, usage, _READ_BESIDE)
    missed = usage.detail("prompt_cache_miss_tokens")
    if missed and cached + missed != prompt:
        usage.note("prompt_cache_miss_tokens")
    return cached


def _first(sent: Reader | None, inside: tuple[str, ...], usage: Reader, beside: tuple[str, ...]) -> int:
    return (sent.detail(*inside) if sent else 0) or usage.detail(*beside)
