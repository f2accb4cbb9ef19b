"""What providers answer, in the shapes of their references; the model's name chooses what is peculiar about it.

``endless`` streams until the caller hangs up, ``breaks`` drops the connection in the middle of a stream,
``error-event`` tells of an error in the middle of one, ``tells-unasked`` is a chat stream whose last choice has its
usage, ``response-fails`` an OpenAI response that failed. Every text is SECRET.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

CHAT_USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
}
CHAT_TOKENS = {
    "input_tokens": 2006,
    "cached_input_tokens": 1920,
    "output_tokens": 300,
    "reasoning_tokens": 192,
}
RESPONSES_USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}
RESPONSES_TOKENS = {"input_tokens": 36, "cached_input_tokens": 12, "output_tokens": 87, "reasoning_tokens": 64}
MESSAGE_USAGE = {
    "input_tokens": 25,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 60,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 503,
    "output_tokens_details": {"thinking_tokens": 100},
    "service_tier": "standard",
}
MESSAGE_TOKENS = {
    "input_tokens": 1085,
    "cached_input_tokens": 1000,
    "cache_write_tokens": 20,
    "cache_write_1h_tokens": 40,
    "output_tokens": 503,
    "reasoning_tokens": 100,
}
PIECES = 5
"""Text pieces of a streamed answer."""
TOOL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


class Broken(Exception):
    """The connection ends here."""


class Failure(Exception):
    """The stream tells of an error here, and ends."""


def pieces(body: dict[str, Any]) -> Iterator[int]:
    model = str(body.get("model"))
    number = 0
    while number < PIECES or model == "endless":
        yield number
        number += 1
        if model == "breaks" and number == 2:
            raise Broken
        if model == "error-event" and number == 2:
            raise Failure
        if model == "endless":
            time.sleep(0.002)


def chat(body: dict[str, Any]) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "SECRET answer", "tool_calls": [TOOL] if body.get("tools") else None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": body["model"],
        "service_tier": "default",
        "choices": [{"index": 0, "message": answer, "finish_reason": "tool_calls" if body.get("tools") else "stop"}],
        "usage": CHAT_USAGE,
    }


def chat_chunks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        return {**head, "choices": choices, **({"usage": usage} if asked else {})}

    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    for number in pieces(body):
        yield chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": f"SECRET {number}"}, "finish_reason": None}]
        )
    if body.get("tools"):
        yield chunk([{"index": 0, "delta": {"tool_calls": [{"index": 0, **TOOL}]}, "finish_reason": None}])
    last = chunk([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if body.get("tools") else "stop"}])
    yield {**last, "usage": CHAT_USAGE} if body["model"] == "tells-unasked" else last
    if asked:
        yield chunk([], CHAT_USAGE)


def completion(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"text": "SECRET", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }


def completion_chunks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    for number in pieces(body):
        yield {**head, "choices": [{"text": str(number), "index": 0, "logprobs": None, "finish_reason": None}]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": completion(body)["usage"]}


def response(body: dict[str, Any], status: str = "completed", identity: str = "resp_1") -> dict[str, Any]:
    if status == "completed" and body["model"] == "response-fails":
        status = "failed"
    text = {"type": "output_text", "text": "SECRET", "annotations": []}
    return {
        "id": identity,
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": body["model"],
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE if status == "completed" else None,
        "background": bool(body.get("background")),
        "error": {"code": "rate_limit_exceeded", "message": "SECRET"} if status == "failed" else None,
    }


def response_events(body: dict[str, Any], identity: str = "resp_1") -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "sequence_number": 0, "response": response(body, "in_progress", identity)}
    for number in pieces(body):
        yield {
            "type": "response.output_text.delta",
            "sequence_number": number + 1,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "SECRET",
            "logprobs": [],
        }
    over = response(body, identity=identity)
    yield {"type": f"response.{over['status']}", "sequence_number": 99, "response": over}


def embedding(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"object": "embedding", "embedding": [0.1, 0.2], "index": 0}],
        "model": body["model"],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }


def transcription() -> dict[str, Any]:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    return {"text": "SECRET", "usage": {**usage, "input_token_details": {"text_tokens": 4, "audio_tokens": 10}}}


def images() -> dict[str, Any]:
    details = {"text_tokens": 10, "image_tokens": 40}
    usage = {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50, "input_tokens_details": details}
    return {"created": 1, "data": [{"b64_json": "AA=="}], "usage": usage}


def message(body: dict[str, Any]) -> dict[str, Any]:
    tool = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [tool] if body.get("tools") else [{"type": "text", "text": "SECRET"}],
        "stop_reason": "tool_use" if body.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
    }


def message_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**message(body), "content": [], "stop_reason": None}
    begun["usage"] = {**MESSAGE_USAGE, "output_tokens": 1, "output_tokens_details": None}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for _ in pieces(body):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "SECRET"}}
    yield {"type": "content_block_stop", "index": 0}
    usage = {"output_tokens": 503, "output_tokens_details": {"thinking_tokens": 100}}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}
