"""Amazon Bedrock Converse and the metadata event of ConverseStream; Nova answers InvokeModel in the same names.

``usage``: inputTokens is without cache, so cacheReadInputTokens and cacheWriteInputTokens are added; cacheDetails
splits the writes by lifetime. Nova's InvokeModel adds Count to the names of the cache's. The model is in the request
only, unless a prompt router chose it.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamMetadataEvent.html
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

HOUR = "1h"


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    response = response.part_or_none("metadata") or response
    usage = response.part("usage")
    fresh, cached = usage.count("inputTokens"), usage.detail("cacheReadInputTokens", "cacheReadInputTokenCount")
    short, long = _cache_writes(usage)
    envelope, tier = response.part_or_none("ResponseMetadata"), response.part_or_none("serviceTier")
    return Usage(
        input_tokens=fresh + cached + short + long,
        cached_input_tokens=cached,
        cache_write_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=usage.count("outputTokens"),
        tool_calls=_tool_calls(response),
        model=_routed_model(response),
        finish_reason=response.text("stopReason"),
        upstream_id=envelope.text("RequestId") if envelope else None,
        service_tier=tier.text("type") if tier else None,
    )


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of ConverseStream to ``seen``."""
    begun = event.part_or_none("contentBlockStart")
    start = begun.part_or_none("start") if begun else None
    if start is not None and start.get("toolUse") is not None:
        seen["tool_calls"] = seen.get("tool_calls", 0) + 1
    ended = event.part_or_none("messageStop")
    if ended is not None:
        seen["stopReason"] = ended.get("stopReason")
    metadata = event.part_or_none("metadata")
    if metadata is not None:
        seen.update({name: value for name in ("usage", "serviceTier") if (value := metadata.get(name)) is not None})
        # Of a trace nothing else: a guardrail's has the text that it judged.
        seen["trace"] = {"promptRouter": {"invokedModelId": _routed_model(metadata)}}


def _cache_writes(usage: Reader) -> tuple[int, int]:
    """(written for 5 minutes, written for an hour)."""
    long = parts = 0
    for detail in usage.parts("cacheDetails"):
        written = detail.detail("inputTokens")
        parts += written
        long += written if detail.text("ttl") == HOUR else 0
    total = usage.count_or_none("cacheWriteInputTokens", "cacheWriteInputTokenCount")
    if total is None:
        return parts - long, long
    if total < parts:
        usage.note("cacheDetails")
        long = min(long, total)
    return total - long, long


def _tool_calls(response: Reader) -> int:
    folded = response.count_or_none("tool_calls")
    if folded is not None:
        return folded
    output = response.part_or_none("output")
    message = output.part_or_none("message") if output else None
    return sum(block.get("toolUse") is not None for block in message.parts("content")) if message else 0


def _routed_model(response: Reader) -> str | None:
    trace = response.part_or_none("trace")
    router = trace.part_or_none("promptRouter") if trace else None
    return router.text("invokedModelId") if router else None
