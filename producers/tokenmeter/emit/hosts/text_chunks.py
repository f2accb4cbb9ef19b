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
    told, known = getattr(chunk, "__dict__", None), getattr(before, "__dict__", None)
    if told is None or known is None:
        return False
    choices = told.get("choices")
    if type(choices) is not list or len(choices) != 1 or told.get("usage") is not None:
        return False
    if told.get("id") != known.get("id") or told.get("model") != known.get("model"):
        return False
    if told.get("service_tier") != known.get("service_tier"):
        return False
    choice = choices[0]
    try:
        delta = choice.delta
        return (
            choice.finish_reason is None
            and delta.tool_calls is None
            and delta.function_call is None
            and not chunk.model_extra
            and not choice.model_extra
            and not delta.model_extra
        )
    except AttributeError:
        return False
