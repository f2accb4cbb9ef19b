"""Adds what a stream tells again of its usage to what it told before: running totals, in which a zero tells nothing.

Servers send zeros before they know (a placeholder) and after they told (an empty last word); both would hide a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.emit.usage.reader import Reader

_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")


def fields(value: Any) -> dict[str, Any] | None:
    """The fields of a mapping or of a client's object by name; None for anything that has none."""
    if isinstance(value, Mapping):
        return dict(value)
    told: dict[str, Any] | None = getattr(value, "__dict__", None)
    # What a client's model does not know it keeps apart.
    return None if told is None else {**told, **(getattr(value, "__pydantic_extra__", None) or {})}


def merged(before: Any, after: Any) -> Any:
    """``after``, with every figure of ``before`` that it says nothing of: leaves out, has null for, or has zero for."""
    known, told = fields(before), fields(after)
    if known is None or told is None:
        return before if after is None else after
    for name, value in told.items():
        if name not in known or known[name] is None:
            known[name] = value
        elif value is None or value == [] or (type(value) in (int, float) and value == 0):
            continue
        else:
            known[name] = merged(known[name], value)
    return known


def is_placeholder(usage: Reader) -> bool:
    """Whether a usage in OpenAI's names tells nothing: it is empty, or all its totals are zero or left out."""
    return not any(usage.get(name) for name in _TOTALS)
