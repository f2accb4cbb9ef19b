"""Amazon Bedrock InvokeModel: each maker's own body, and the metrics that Bedrock adds to the last event of a stream.

Titan: inputTextTokenCount, with results[].tokenCount, or totalOutputTextTokenCount in a stream's last event; embeddings
have the input alone. Llama: prompt_token_count and generation_token_count. Of makers that count nothing (Mistral,
Cohere) the response's HTTP headers do, as text, and of a stream amazon-bedrock-invocationMetrics.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

METRICS = "amazon-bedrock-invocationMetrics"
_HEADERS = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")
_LLAMA = ("prompt_token_count", "generation_token_count", "stop_reason")
_TITAN = ("inputTextTokenCount", "totalOutputTextTokenCount", "completionReason")


def is_invoked(body: Reader) -> bool:
    """Whether a body is one of InvokeModel's that no other shape has."""
    return body.get(METRICS, "inputTextTokenCount", "generation_token_count", "totalOutputTextTokenCount") is not None


def counted_in_headers(response: Reader) -> Reader | None:
    """The headers of a client's whole response, if they count its tokens."""
    envelope = response.part_or_none("ResponseMetadata")
    headers = envelope.part_or_none("HTTPHeaders") if envelope else None
    return headers if headers is not None and headers.get(_HEADERS[0]) is not None else None


def normalise(body: Reader) -> Usage:
    """Raises Poison naming the first field that is missing."""
    headers = counted_in_headers(body)
    if headers is not None:
        return Usage(input_tokens=_number(headers, _HEADERS[0]), output_tokens=_number(headers, _HEADERS[1]))
    metrics = body.part_or_none(METRICS)
    if metrics is not None:
        cached, written = metrics.detail("cacheReadInputTokenCount"), metrics.detail("cacheWriteInputTokenCount")
        return Usage(
            input_tokens=metrics.count("inputTokenCount") + cached + written,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            output_tokens=metrics.count("outputTokenCount"),
            finish_reason=body.text("stop_reason", "completionReason"),
        )
    if body.get("generation_token_count", "prompt_token_count") is not None:
        return Usage(
            input_tokens=body.count("prompt_token_count"),
            output_tokens=body.count("generation_token_count"),
            finish_reason=body.text("stop_reason"),
        )
    return _titan(body)


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream, its bytes decoded, to ``seen``."""
    for name in (*_LLAMA, *_TITAN, METRICS):
        value = event.get(name)
        if value is not None:
            seen[name] = value


def _titan(body: Reader) -> Usage:
    results = [*body.parts("results")]
    made = body.count_or_none("totalOutputTextTokenCount")
    if made is None and body.get("embedding", "embeddingsByType") is not None:
        made = 0
    if made is None and not results:
        raise body.missing("results")
    return Usage(
        input_tokens=body.count("inputTextTokenCount"),
        output_tokens=sum(result.count("tokenCount") for result in results) if made is None else made,
        finish_reason=body.text("completionReason") or (results[0].text("completionReason") if results else None),
    )


def _number(headers: Reader, name: str) -> int:
    text = headers.get(name)
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return int(text)
    return headers.count(name)
