"""Known token classes, written the way each provider reports them, are read back to the token.

The writers know only what the providers' references say of their own fields, so they and the readers can disagree.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenmeter.emit.usage import Usage, normalise


@st.composite
def truths(draw: st.DrawFn) -> dict[str, int]:
    """fresh, read, short, long: disjoint parts of the input; answer, thought: of the output."""
    tokens = st.integers(0, 10**9)
    return {name: draw(tokens) for name in ("fresh", "read", "short", "long", "answer", "thought")}


def openai_chat(t: dict[str, int]) -> dict[str, Any]:
    sent, made = t["fresh"] + t["read"] + t["short"], t["answer"] + t["thought"]
    return {
        "prompt_tokens": sent,
        "completion_tokens": made,
        "total_tokens": sent + made,
        "prompt_tokens_details": {"cached_tokens": t["read"], "cache_write_tokens": t["short"]},
        "completion_tokens_details": {"reasoning_tokens": t["thought"]},
    }


def openai_responses(t: dict[str, int]) -> dict[str, Any]:
    sent, made = t["fresh"] + t["read"] + t["short"] + t["long"], t["answer"] + t["thought"]
    return {
        "input_tokens": sent,
        "input_tokens_details": {
            "cached_tokens": t["read"],
            "cache_write_tokens": t["short"] + t["long"],
            "cache_write_tokens_details": {"ttl_30m_tokens": t["short"], "ttl_12h_tokens": t["long"]},
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": t["thought"]},
        "total_tokens": sent + made,
    }


def anthropic(t: dict[str, int]) -> dict[str, Any]:
    return {
        "input_tokens": t["fresh"],
        "cache_read_input_tokens": t["read"],
        "cache_creation_input_tokens": t["short"] + t["long"],
        "cache_creation": {"ephemeral_5m_input_tokens": t["short"], "ephemeral_1h_input_tokens": t["long"]},
        "output_tokens": t["answer"] + t["thought"],
        "output_tokens_details": {"thinking_tokens": t["thought"]},
    }


def bedrock(t: dict[str, int]) -> dict[str, Any]:
    return {
        "inputTokens": t["fresh"],
        "cacheReadInputTokens": t["read"],
        "cacheWriteInputTokens": t["short"] + t["long"],
        "cacheDetails": [{"ttl": "1h", "inputTokens": t["long"]}, {"ttl": "5m", "inputTokens": t["short"]}],
        "outputTokens": t["answer"] + t["thought"],
        "totalTokens": sum(t.values()),
    }


def gemini(t: dict[str, int]) -> dict[str, Any]:
    wire = {
        "promptTokenCount": t["fresh"] + t["read"],
        "cachedContentTokenCount": t["read"],
        "candidatesTokenCount": t["answer"],
        "thoughtsTokenCount": t["thought"],
        "totalTokenCount": t["fresh"] + t["read"] + t["answer"] + t["thought"],
    }
    # As on the wire: zeros are left out (but a prompt, and so the total, is never empty).
    return {name: count for name, count in wire.items() if count or name in ("promptTokenCount", "totalTokenCount")}


def deepseek(t: dict[str, int]) -> dict[str, Any]:
    sent, made = t["fresh"] + t["read"], t["answer"] + t["thought"]
    return {
        "prompt_tokens": sent,
        "prompt_cache_hit_tokens": t["read"],
        "prompt_cache_miss_tokens": t["fresh"],
        "completion_tokens": made,
        "completion_tokens_details": {"reasoning_tokens": t["thought"]},
        "total_tokens": sent + made,
    }


def xai(t: dict[str, int]) -> dict[str, Any]:
    sent = t["fresh"] + t["read"]
    return {
        "prompt_tokens": sent,
        "completion_tokens": t["answer"],
        "total_tokens": sent + t["answer"] + t["thought"],
        "prompt_tokens_details": {"cached_tokens": t["read"]},
        "completion_tokens_details": {"reasoning_tokens": t["thought"]},
    }


WRITERS: dict[str, tuple[str, Any, str, set[str]]] = {
    "openai chat": ("openai", openai_chat, "usage", {"long"}),
    "openai responses": ("openai", openai_responses, "usage", set()),
    "anthropic": ("anthropic", anthropic, "usage", set()),
    "bedrock": ("bedrock", bedrock, "usage", {"thought"}),
    "gemini": ("gemini", gemini, "usageMetadata", {"short", "long"}),
    "deepseek": ("deepseek", deepseek, "usage", {"short", "long"}),
    "xai": ("compatible", xai, "usage", {"short", "long"}),
}
"""Provider, writer, where it writes to, and the parts that this provider does not tell apart (zero here)."""


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60, deadline=None)
@given(truth=truths())
def test_what_was_written_is_read(name: str, truth: dict[str, int]) -> None:
    provider, write, place, untold = WRITERS[name]
    told = {part: 0 if part in untold else count for part, count in truth.items()}
    assert normalise(provider, {place: write(told)}) == Usage(
        input_tokens=told["fresh"] + told["read"] + told["short"] + told["long"],
        cached_input_tokens=told["read"],
        cache_write_tokens=told["short"],
        cache_write_1h_tokens=told["long"],
        output_tokens=told["answer"] + told["thought"],
        reasoning_tokens=told["thought"],
    )
