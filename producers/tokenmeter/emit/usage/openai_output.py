"""What an OpenAI response did besides talking: tools called, searches, images drawn by another model.

``output`` lists an item for each call of a tool. A web_search_call may search, open a page or find in it, and only a
search is billed; ``tool_usage.web_search.num_requests`` is OpenAI's own count of those. ``tool_usage.image_gen`` is
what an image model used inside the call. https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

from tokenmeter.emit.usage.model import Usage
from tokenmeter.emit.usage.reader import Reader

IMAGE_TOOL = "image_generation"
"""The tool's type; names the model of its tokens where the response does not say which one drew."""


def calls_of(response: Reader) -> dict[str, Any]:
    """Fields of Usage: images made, tools called, searches."""
    items = [(item.text("type") or "", item) for item in response.parts("output")]
    told = response.part_or_none("tool_usage")
    search = told.part_or_none("web_search") if told else None
    billed = search.count_or_none("num_requests") if search else None
    return {
        "images_out": sum(kind == "image_generation_call" for kind, _ in items),
        "tool_calls": sum(kind.endswith("_call") for kind, _ in items),
        "web_searches": sum(_is_search(kind, item) for kind, item in items) if billed is None else billed,
    }


def images_drawn(response: Reader) -> Usage | None:
    """What the image tool used: a call inside the call, on a model that has a price of its own."""
    told = response.part_or_none("tool_usage")
    used = told.part_or_none("image_gen") if told else None
    if used is None or not (used.detail("input_tokens") or used.detail("output_tokens")):
        return None
    sent, made = used.part_or_none("input_tokens_details"), used.part_or_none("output_tokens_details")
    output_tokens = used.count("output_tokens")
    tool = next((tool for tool in response.parts("tools") if tool.text("type") == IMAGE_TOOL), None)
    return Usage(
        input_tokens=used.count("input_tokens"),
        cached_input_tokens=used.detail("cached_tokens"),
        input_image_tokens=sent.detail("image_tokens") if sent else 0,
        output_tokens=output_tokens,
        output_image_tokens=made.detail("image_tokens") if made else output_tokens,
        model=(tool.text("model") if tool else None) or IMAGE_TOOL,
    )


def kept_output(response: Reader) -> dict[str, Any]:
    """``output`` and ``tools`` without their text, as a stream's last event is kept."""
    output = [{"type": item.text("type"), "action": {"type": _action(item)}} for item in response.parts("output")]
    tools = [{"type": tool.text("type"), "model": tool.text("model")} for tool in response.parts("tools")]
    return {"output": output, "tools": tools}


def _is_search(kind: str, item: Reader) -> bool:
    # Older answers do not tell the action, and could do nothing but search.
    return kind == "web_search_call" and _action(item) in (None, "search")


def _action(item: Reader) -> str | None:
    action = item.part_or_none("action")
    return action.text("type") if action else None
