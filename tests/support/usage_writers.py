"""Known token classes written as each provider writes them, whole and streamed.

The writers know only what the providers' references say of their own fields, so they and the readers can disagree. A
truth is disjoint: fresh, read, short, long are parts of the input; answer, thought of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Truth = dict[str, int]
Body = dict[str, Any]
PARTS = ("fresh", "read", "short", "long", "answer", "thought")


@dataclass(frozen=True)
class Writer:
    """``untold`` are the parts that this provider does not tell apart: they are zero here. ``stream`` makes the chunks
    of an answer whose figures come last, ``running`` those of one that tells its figures so far with every chunk."""

    name: str
    family: str
    write: Callable[[Truth], Body]
    untold: frozenset[str] = frozenset()
    stream: Callable[[Truth], list[Body]] | None = None
    running: Callable[[list[Truth]], list[Body]] | None = None


def sides(t: Truth) -> tuple[int, int]:
    return t["fresh"] + t["read"] + t["short"] + t["long"], t["answer"] + t["thought"]


def chat_usage(t: Truth) -> Body:
    sent, made = sides(t)
    return {
        "prompt_tokens": sent,
        "completion_tokens": made,
        "total_tokens": sent + made,
        "prompt_tokens_details": {"cached_tokens": t["read"], "cache_write_tokens": t["short"]},
        "completion_tokens_details": {"reasoning_tokens": t["thought"]},
    }


def litellm_usage(t: Truth) -> Body:
    split = {"ephemeral_5m_input_tokens": t["short"], "ephemeral_1h_input_tokens": t["long"]}
    details = {"cached_tokens": t["read"], "cache_creation_tokens": t["short"] + t["long"]}
    return {**chat_usage(t), "prompt_tokens_details": {**details, "cache_creation_token_details": split}}


def deepseek_usage(t: Truth) -> Body:
    told = {**chat_usage(t), "prompt_cache_hit_tokens": t["read"], "prompt_cache_miss_tokens": t["fresh"]}
    return {name: value for name, value in told.items() if name != "prompt_tokens_details"}


def moonshot_usage(t: Truth) -> Body:
    return {**chat_usage(t), "prompt_tokens_details": None, "cached_tokens": t["read"]}


def xai_usage(t: Truth) -> Body:
    return {**chat_usage(t), "completion_tokens": t["answer"]}


def chat(usage: Callable[[Truth], Body]) -> Callable[[Truth], Body]:
    def write(t: Truth) -> Body:
        message = {"role": "assistant", "content": "a"}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": usage(t)}

    return write


def chunk(usage: Any, content: str | None = "a") -> Body:
    choices = [] if content is None else [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    return {"object": "chat.completion.chunk", "choices": choices, "usage": usage}


def chat_stream(usage: Callable[[Truth], Body]) -> Callable[[Truth], list[Body]]:
    return lambda t: [chunk(None), chunk(None), chunk(usage(t), None)]


def chat_running(truths: list[Truth]) -> list[Body]:
    return [chunk(chat_usage(t)) for t in truths]


def responses(t: Truth) -> Body:
    sent, made = sides(t)
    written = {"ttl_30m_tokens": t["short"], "ttl_12h_tokens": t["long"]}
    usage = {
        "input_tokens": sent,
        "input_tokens_details": {
            "cached_tokens": t["read"],
            "cache_write_tokens": t["short"] + t["long"],
            "cache_write_tokens_details": written,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": t["thought"]},
        "total_tokens": sent + made,
    }
    return {"object": "response", "status": "completed", "output": [{"type": "message"}], "usage": usage}


def responses_stream(t: Truth) -> list[Body]:
    begun = {"object": "response", "status": "in_progress", "usage": None}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.completed", "response": responses(t)},
    ]


def messages_usage(t: Truth) -> Body:
    return {
        "input_tokens": t["fresh"],
        "cache_read_input_tokens": t["read"],
        "cache_creation_input_tokens": t["short"] + t["long"],
        "cache_creation": {"ephemeral_5m_input_tokens": t["short"], "ephemeral_1h_input_tokens": t["long"]},
        "output_tokens": t["answer"] + t["thought"],
        "output_tokens_details": {"thinking_tokens": t["thought"]},
    }


def messages(t: Truth) -> Body:
    return {"type": "message", "content": [], "stop_reason": "end_turn", "usage": messages_usage(t)}


def messages_running(truths: list[Truth]) -> list[Body]:
    first, *later = truths
    begun = {"type": "message", "content": [], "usage": messages_usage(first)}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
        *({"type": "message_delta", "delta": {}, "usage": messages_usage(t)} for t in later),
        {"type": "message_stop"},
    ]


def converse_usage(t: Truth) -> Body:
    return {
        "inputTokens": t["fresh"],
        "cacheReadInputTokens": t["read"],
        "cacheWriteInputTokens": t["short"] + t["long"],
        "cacheDetails": [{"ttl": "1h", "inputTokens": t["long"]}, {"ttl": "5m", "inputTokens": t["short"]}],
        "outputTokens": t["answer"] + t["thought"],
        "totalTokens": sum(t.values()),
    }


def converse_stream(t: Truth) -> list[Body]:
    return [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "a"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": converse_usage(t)}},
    ]


def gemini(t: Truth) -> Body:
    wire = {
        "promptTokenCount": t["fresh"] + t["read"],
        "cachedContentTokenCount": t["read"],
        "candidatesTokenCount": t["answer"],
        "thoughtsTokenCount": t["thought"],
        "totalTokenCount": t["fresh"] + t["read"] + t["answer"] + t["thought"],
    }
    # As on the wire: zeros are left out (but a prompt, and so the total, is never empty).
    told = {name: count for name, count in wire.items() if count or name in ("promptTokenCount", "totalTokenCount")}
    return {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": told}


def interaction(t: Truth) -> Body:
    usage = {
        "total_input_tokens": t["fresh"] + t["read"],
        "total_cached_tokens": t["read"],
        "total_output_tokens": t["answer"],
        "total_thought_tokens": t["thought"],
        "total_tool_use_tokens": 0,
        "total_tokens": t["fresh"] + t["read"] + t["answer"] + t["thought"],
    }
    return {"object": "interaction", "status": "completed", "usage": usage}


def interaction_stream(t: Truth) -> list[Body]:
    begun = {"object": "interaction", "status": "in_progress"}
    return [
        {"event_type": "interaction.start", "interaction": begun},
        {"event_type": "content.delta", "delta": {"type": "text"}},
        {"event_type": "interaction.complete", "interaction": interaction(t)},
    ]


def dashscope(t: Truth) -> Body:
    usage = {
        "input_tokens": t["fresh"] + t["read"] + t["short"],
        "prompt_tokens_details": {"cached_tokens": t["read"], "cache_creation_input_tokens": t["short"]},
        "output_tokens": t["answer"] + t["thought"],
        "output_tokens_details": {"reasoning_tokens": t["thought"]},
    }
    return {"request_id": "q", "output": {"choices": [{"message": {"content": "a"}}]}, "usage": usage}


def ollama(t: Truth) -> Body:
    return {"model": "m", "done": True, "prompt_eval_count": t["fresh"], "eval_count": t["answer"]}


def ollama_stream(t: Truth) -> list[Body]:
    return [{"model": "m", "message": {"content": "a"}, "done": False}, ollama(t)]


def span(t: Truth) -> Body:
    sent, made = sides(t)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": sent,
        "gen_ai.usage.cache_read.input_tokens": t["read"],
        "gen_ai.usage.cache_creation.input_tokens": t["short"],
        "gen_ai.usage.output_tokens": made,
        "gen_ai.usage.reasoning.output_tokens": t["thought"],
    }


_LONG = frozenset({"long"})
_WRITES = frozenset({"short", "long"})
_PLAIN = frozenset({"read", "short", "long", "thought"})

WRITERS: tuple[Writer, ...] = (
    Writer("openai chat", "openai", chat(chat_usage), _LONG, chat_stream(chat_usage), chat_running),
    Writer("vllm chat", "vllm", chat(chat_usage), _LONG, chat_stream(chat_usage), chat_running),
    Writer("litellm chat", "compatible", chat(litellm_usage), frozenset(), chat_stream(litellm_usage)),
    Writer("deepseek chat", "deepseek", chat(deepseek_usage), _WRITES, chat_stream(deepseek_usage)),
    Writer("moonshot chat", "moonshot", chat(moonshot_usage), _WRITES, chat_stream(moonshot_usage)),
    Writer("xai chat", "xai", chat(xai_usage), _WRITES, chat_stream(xai_usage)),
    Writer("openai responses", "openai", responses, frozenset(), responses_stream),
    Writer("anthropic", "anthropic", messages, frozenset(), None, messages_running),
    Writer(
        "bedrock",
        "bedrock",
        lambda t: {"output": {"message": {"content": []}}, "usage": converse_usage(t)},
        frozenset({"thought"}),
        converse_stream,
    ),
    Writer("gemini", "gemini", gemini, _WRITES, None, lambda truths: [gemini(t) for t in truths]),
    Writer("gemini interactions", "gemini", interaction, _WRITES, interaction_stream),
    Writer("dashscope", "dashscope", dashscope, _LONG, None, lambda truths: [dashscope(t) for t in truths]),
    Writer("ollama", "ollama", ollama, _PLAIN, ollama_stream),
    Writer("span", "otel", span, _LONG),
)
