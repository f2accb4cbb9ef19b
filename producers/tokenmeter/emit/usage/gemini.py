"""Gemini and Vertex AI: generateContent, each chunk of its stream, and embedContent.

``usageMetadata``: promptTokenCount includes cachedContentTokenCount; toolUsePromptTokenCount is input beside it;
thoughtsTokenCount is output beside candidatesTokenCount (live: responseTokenCount); totalTokenCount is the sum of the
four. Zeros are left out on the wire. Modalities are lists of {modality, tokenCount}. Python clients spell all this with
underscores. The arguments of a function call may come in pieces, of which the first alone has its name.
https://ai.google.dev/api/generate-content#UsageMetadata,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.merge import merged
from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader


def normalise(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    usage = response.part("usageMetadata", "usage_metadata")
    # An embedding has no answer to count, and details under a name of their own.
    embedded = response.get("embedding", "embeddings") is not None or usage.get("promptTokenDetails") is not None
    return Usage(
        **tokens(usage, embedded),
        service_tier=_lower(usage.text("serviceTier", "service_tier", "trafficType", "traffic_type")),
        model=response.text("modelVersion", "model_version"),
        upstream_id=response.text("responseId", "response_id"),
        **(gathered(response, _FOLDED) or _candidates(response)),
    )


def tokens(usage: Reader, embedded: bool = False) -> dict[str, Any]:
    """The token classes of a ``usageMetadata``; of an embedding there is no answer to count."""
    prompt = usage.count_or_none("promptTokenCount", "prompt_token_count")
    if prompt is None:
        raise usage.missing("promptTokenCount")
    sent = prompt + usage.count_or_zero("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    thoughts = usage.count_or_zero("thoughtsTokenCount", "thoughts_token_count")
    counted = _modalities(usage, "promptTokensDetails", "prompt_tokens_details")
    for kind, extra in _modalities(usage, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details").items():
        counted[kind] = counted.get(kind, 0) + extra
    made = {
        **_modalities(usage, "candidatesTokensDetails", "candidates_tokens_details"),
        **_modalities(usage, "responseTokensDetails", "response_tokens_details"),
    }
    return {
        "input_tokens": sent,
        "cached_input_tokens": usage.detail("cachedContentTokenCount", "cached_content_token_count"),
        "input_audio_tokens": counted.get("AUDIO", 0),
        "input_image_tokens": counted.get("IMAGE", 0),
        "output_tokens": thoughts + (0 if embedded else _answered(usage, sent + thoughts)),
        "reasoning_tokens": thoughts,
        "output_audio_tokens": made.get("AUDIO", 0),
        "output_image_tokens": made.get("IMAGE", 0),
    }


def fold(seen: dict[str, Any], chunk: Reader) -> None:
    """Add a chunk of a stream to ``seen``. Each chunk's usage is a running total: the last one counts."""
    for wire, client in _KEPT:
        value = chunk.get(wire, client)
        if value is not None:
            seen[wire] = merged(seen.get(wire), value)
    figures = _candidates(chunk)
    known = seen.get(_FOLDED, {})
    for name in ("tool_calls", "images_out", "web_searches"):
        figures[name] += known.get(name, 0)
    figures["finish_reason"] = figures["finish_reason"] or known.get("finish_reason")
    seen[_FOLDED] = figures


_FOLDED: Any = ("folded",)
"""No key of JSON: what we gathered is never mistaken for what was sent."""
_KEPT = (("usageMetadata", "usage_metadata"), ("modelVersion", "model_version"), ("responseId", "response_id"))


def gathered(response: Reader, key: Any) -> Any:
    """What a fold kept in its dict under ``key``; None of an answer."""
    return response.value.get(key) if type(response.value) is dict else None


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
    if total == other_tokens - 1:
        usage.note("totalTokenCount")
        return 0
    if total < other_tokens:
        raise usage.conflict(f"totalTokenCount is {total}, its parts come to {other_tokens}")
    return total - other_tokens


def _modalities(usage: Reader, wire: str, client: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for detail in usage.parts(wire, client):
        modality = detail.get("modality")
        name = str(getattr(modality, "name", modality)).upper()
        counted[name] = counted.get(name, 0) + detail.detail("tokenCount", "token_count")
    return counted


def _candidates(response: Reader) -> dict[str, Any]:
    finish_reason, tool_calls, images, searches = None, 0, 0, 0
    for candidate in response.parts("candidates"):
        reason = candidate.get("finishReason", "finish_reason")
        finish_reason = finish_reason or (None if reason is None else str(getattr(reason, "name", reason)))
        grounding = candidate.part_or_none("groundingMetadata", "grounding_metadata")
        if grounding:
            searches += sum(1 for _ in grounding.parts("webSearchQueries", "web_search_queries"))
        content = candidate.part_or_none("content")
        for part in content.parts("parts") if content else ():
            call = part.part_or_none("functionCall", "function_call")
            tool_calls += call is not None and call.text("name") is not None
            blob = part.part_or_none("inlineData", "inline_data")
            images += bool(blob and (blob.text("mimeType", "mime_type") or "").startswith("image/"))
    return {
        "finish_reason": finish_reason,
        "tool_calls": tool_calls,
        "images_out": images,
        "web_searches": searches,
    }


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None
