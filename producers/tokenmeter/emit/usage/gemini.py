"""Gemini and Vertex AI: generateContent, each chunk of its stream, live sessions and embedContent.

``usageMetadata``: promptTokenCount includes cachedContentTokenCount; toolUsePromptTokenCount is input beside it;
thoughtsTokenCount is output beside candidatesTokenCount (live: responseTokenCount); totalTokenCount is the sum of the
four. Zeros are left out on the wire. Modalities are lists of {modality, tokenCount}. Python clients spell all this with
underscores. https://ai.google.dev/api/generate-content#UsageMetadata,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage import openai_chat
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("usage") is not None:
        return _compatible(response)
    usage = response.part("usageMetadata", "usage_metadata")
    prompt = usage.count_or_none("promptTokenCount", "prompt_token_count")
    tool_results = usage.count_or_zero("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    thoughts = usage.count_or_zero("thoughtsTokenCount", "thoughts_token_count")
    if prompt is None:
        raise usage.missing("promptTokenCount")
    counted = _modalities(usage, "promptTokensDetails", "prompt_tokens_details")
    for kind, extra in _modalities(usage, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details").items():
        counted[kind] = counted.get(kind, 0) + extra
    made = {
        **_modalities(usage, "candidatesTokensDetails", "candidates_tokens_details"),
        **_modalities(usage, "responseTokensDetails", "response_tokens_details"),
    }
    return Usage(
        input_tokens=prompt + tool_results,
        cached_input_tokens=usage.count_or_zero("cachedContentTokenCount", "cached_content_token_count"),
        input_audio_tokens=counted.get("AUDIO", 0),
        input_image_tokens=counted.get("IMAGE", 0),
        output_tokens=_answered(usage, prompt + tool_results + thoughts) + thoughts,
        reasoning_tokens=thoughts,
        output_audio_tokens=made.get("AUDIO", 0),
        output_image_tokens=made.get("IMAGE", 0),
        service_tier=_lower(usage.text("serviceTier", "service_tier", "trafficType", "traffic_type")),
        model=response.text("modelVersion", "model_version"),
        upstream_id=response.text("responseId", "response_id"),
        **_candidates(response),
    )


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``. Each chunk's usage is a running total: the last one counts."""
    if chunk.get("choices", "object") is not None:
        openai_chat.fold(seen, chunk)
        return
    for wire, client in _KEPT:
        value = chunk.get(wire, client)
        if value is not None:
            seen[wire] = value
    figures = _candidates(chunk)
    for name in ("tool_calls", "images_out", "web_searches"):
        figures[name] += seen.get("folded", {}).get(name, 0)
    figures["finish_reason"] = figures["finish_reason"] or seen.get("folded", {}).get("finish_reason")
    seen["folded"] = figures


_KEPT = (("usageMetadata", "usage_metadata"), ("modelVersion", "model_version"), ("responseId", "response_id"))


def _answered(usage: Reader, other_tokens: int) -> int:
    """Tokens of the answer itself. Left out where they are zero (a blocked prompt, thoughts alone): the total tells."""
    given = usage.count_or_none(
        "candidatesTokenCount", "candidates_token_count", "responseTokenCount", "response_token_count"
    )
    if given is not None:
        return given
    total = usage.count_or_none("totalTokenCount", "total_token_count")
    if total is None:
        raise usage.missing("candidatesTokenCount")
    if total < other_tokens:
        raise usage.conflict(f"totalTokenCount is {total}, its parts come to {other_tokens}")
    return total - other_tokens


def _modalities(usage: Reader, wire: str, client: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for detail in usage.parts(wire, client):
        modality = detail.get("modality")
        name = str(getattr(modality, "name", modality)).upper()
        counted[name] = counted.get(name, 0) + detail.count_or_zero("tokenCount", "token_count")
    return counted


def _candidates(response: Reader) -> dict[str, Any]:
    if isinstance(response.value, dict) and "folded" in response.value:
        return dict(response.value["folded"])
    finish_reason, tool_calls, images, searches = None, 0, 0, 0
    for candidate in response.parts("candidates"):
        reason = candidate.get("finishReason", "finish_reason")
        finish_reason = finish_reason or (None if reason is None else str(getattr(reason, "name", reason)))
        grounding = candidate.part_or_none("groundingMetadata", "grounding_metadata")
        if grounding:
            searches += sum(1 for _ in grounding.parts("webSearchQueries", "web_search_queries"))
        content = candidate.part_or_none("content")
        for part in content.parts("parts") if content else ():
            tool_calls += part.get("functionCall", "function_call") is not None
            blob = part.part_or_none("inlineData", "inline_data")
            images += bool(blob and (blob.text("mimeType", "mime_type") or "").startswith("image/"))
    return {
        "finish_reason": finish_reason,
        "tool_calls": tool_calls,
        "images_out": images,
        "web_searches": searches,
    }


def _compatible(response: Reader) -> Usage:
    """Gemini's OpenAI-compatible answer: completion_tokens is without thoughts, which only the total includes."""
    usage = response.part("usage")
    sent, total = usage.count("prompt_tokens"), usage.count("total_tokens")
    made = usage.count_or_zero("completion_tokens") if total == sent else usage.count("completion_tokens")
    if total < sent + made:
        raise usage.conflict(f"usage.total_tokens is {total}, prompt_tokens {sent} and completion_tokens {made}")
    details = usage.part_or_none("prompt_tokens_details")
    return Usage(
        input_tokens=sent,
        cached_input_tokens=details.count_or_zero("cached_tokens") if details else 0,
        output_tokens=total - sent,
        reasoning_tokens=total - sent - made,
        **openai_chat.about(response),
    )


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None
