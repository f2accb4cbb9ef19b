"""Tells which chunks of a stream hold a piece of text and nothing to be metered, which are nearly all. Pure.

Reading one as usage.fold() does takes several microseconds of the caller's time, and finds what the chunk before it
said already. A chunk is passed over only if nothing is left that any family could read: no usage, no call of a tool, no
reason for an end, no field that the client's model does not know, and the names that another chunk had.
"""

from __future__ import annotations

from typing import Any


def is_chat(chunk: Any) -> bool:
    """Whether it is a chat chunk of the `openai` client, which nobody changes once it is made."""
    told = getattr(chunk, "__dict__", None)
    return told is not None and "choices" in told


def only_text(chunk: Any, before: Any) -> bool:
    """Whether ``chunk``, a chat chunk, tells nothing beyond ``before``, another of its stream; False of all others."""
    try:
        told, known = chunk.__dict__, before.__dict__
        (choice,) = told["choices"]
        delta = choice.delta
        # Written out, and by the objects' own dicts: of every chunk this is what its caller pays.
        return (
            told["usage"] is None
            and choice.finish_reason is None
            and delta.tool_calls is None
            and delta.function_call is None
            and told["id"] == known["id"]
            and told["model"] == known["model"]
            and told["service_tier"] == known["service_tier"]
            and not chunk.model_extra
            and not choice.model_extra
            and not delta.model_extra
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
