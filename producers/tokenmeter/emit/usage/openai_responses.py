"""OpenAI responses: the object, or a stream's response.completed, response.incomplete or response.failed event.

``usage``: input_tokens includes input_tokens_details.{cached_tokens, cache_write_tokens}; output_tokens includes
output_tokens_details.reasoning_tokens. ``tool_usage`` is beside it: billable searches, and what image generation used,
on a model of its own. LiteLLM hands the object on with a chat usage in it. A response that failed has an error in place
of usage; one made in the background has no usage until it is done.
https://platform.openai.com/docs/api-reference/responses/object,
https://platform.openai.com/docs/api-reference/responses-streaming, https://platform.openai.com/docs/guides/background
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenmeter.emit.usage import chat_tokens
from tokenmeter.emit.usage.extras import extras
from tokenmeter.emit.usage.model import UNKNOWN_TOKENS, Usage
from tokenmeter.emit.usage.openai_output import calls_of, images_drawn, kept_output
from tokenmeter.emit.usage.reader import Reader

ENDS = ("response.completed", "response.incomplete", "response.failed")
"""The events of a stream that hold the whole response."""
FAILED = "failed"
_UNDER_WAY = ("queued", "in_progress")


def responses(response: Reader) -> Usage:
    """Raises Poison naming the first field that is missing or contradicts another."""
    if response.get("usage") is None and response.get("object") != "response":
        response = response.part_or_none("response") or response
    status = response.text("status")
    found = Usage(
        **calls_of(response),
        model=response.text("model"),
        finish_reason=_finish_reason(response),
        upstream_id=response.text("id"),
        service_tier=response.text("service_tier"),
    )
    usage = response.part_or_none("usage")
    if usage is None and status == FAILED:
        error = response.part_or_none("error")
        code = error.text("code", "type") if error else None
        return replace(found, error_class=code or FAILED, notes=UNKNOWN_TOKENS)
    if usage is None and status in _UNDER_WAY:
        raise response.refused(f"status is {status}: usage comes with the response that is completed")
    usage = response.part("usage")
    figures = tokens(usage) if usage.get("prompt_tokens") is None else chat_tokens.tokens(usage, found.model)
    told = extras(usage)
    told.setdefault("web_searches", found.web_searches)
    drawn = images_drawn(response)
    return replace(found, **figures, **told, also=(drawn,) if drawn else ())


def tokens(usage: Reader) -> dict[str, Any]:
    """The token classes of a ``usage`` in the names of responses."""
    input_tokens, output_tokens = usage.count("input_tokens"), usage.count("output_tokens")
    total = usage.total_or_none("total_tokens")
    sent, made = usage.part_or_none("input_tokens_details"), usage.part_or_none("output_tokens_details")
    reasoning = made.detail("reasoning_tokens") if made else 0
    if total is not None and total != input_tokens + output_tokens:
        if total == input_tokens + output_tokens + reasoning:
            output_tokens += reasoning
        elif abs(total - input_tokens - output_tokens) == 1:
            usage.note("total_tokens")
        else:
            raise usage.conflict(f"usage.total_tokens is {total}, input_tokens {input_tokens}, output {output_tokens}")
    return {
        "input_tokens": input_tokens,
        "cached_input_tokens": sent.detail("cached_tokens") if sent else 0,
        **chat_tokens.writes(sent, usage),
        "input_audio_tokens": sent.detail("audio_tokens") if sent else 0,
        "input_image_tokens": sent.detail("image_tokens") if sent else 0,
        "output_tokens": output_tokens,
        "reasoning_tokens": reasoning,
        "output_audio_tokens": made.detail("audio_tokens") if made else 0,
        "output_image_tokens": made.detail("image_tokens") if made else 0,
    }


def fold(seen: dict[str, Any], event: Reader) -> None:
    """Add an event of a stream to ``seen``; the last event holds the whole response."""
    if (event.text("type") or "").endswith(".delta"):
        return
    response = event.part_or_none("response")
    if response is None:
        return
    for name in ("id", "model", "service_tier", "status", "incomplete_details", "tool_usage"):
        value = response.get(name)
        if value is not None:
            seen[name] = value
    error = response.part_or_none("error")
    if error is not None:
        seen["error"] = {"code": error.text("code", "type")}
    if event.text("type") in ENDS:
        seen["object"] = "response"
        seen["usage"] = response.get("usage")
        seen.update(kept_output(response))


def _finish_reason(response: Reader) -> str | None:
    details = response.part_or_none("incomplete_details")
    return (details.text("reason") if details else None) or response.text("status")
