"""Which field of an event breaks a rule of ``tokenmeter.events.accept``: what a sender is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenmeter.events.accept import (
    COST_MAX_USD,
    EVENT_ID_BYTES_MAX,
    INT_FIELDS,
    INT_MAX,
    NAME_BYTES_MAX,
    NAME_FIELDS,
    QUANTITY_MAX,
    TIME_FIELDS,
)
from tokenmeter.events.contract import PART_OF, QUANTITY_FIELDS

_ONLY_OF_CORRECTIONS = ("corrects", "calls", "context_bucket", "rating")


def field_of(reason: str, record: Mapping[str, Any]) -> str:
    """The first field that is to blame for ``reason``; of a part and its whole, the part."""
    return next(_suspects(reason, record), "")


def _suspects(reason: str, record: Mapping[str, Any]) -> Iterator[str]:
    counts = {name: int(record[name]) for name in QUANTITY_FIELDS}
    if reason in ("late", "early"):
        yield "occurred_at"
    elif reason == "negative":
        yield from (name for name, count in counts.items() if count < 0)
    elif reason == "too_large":
        yield from (name for name in (*counts, "calls") if abs(record[name]) > QUANTITY_MAX)
    elif reason == "breakdown":
        yield from _parts(counts)
    elif reason == "identity":
        yield from (name for name in NAME_FIELDS if not 0 < len(record[name].encode()) <= _bytes_max(name))
    elif reason == "correction":
        yield from _of_corrections(record)
    elif reason == "range":
        yield from (name for name in INT_FIELDS if abs(record[name] or 0) > INT_MAX)
        if abs(record["reported_cost"] or 0) > COST_MAX_USD:
            yield "reported_cost"
        yield from TIME_FIELDS


def _bytes_max(name: str) -> int:
    return EVENT_ID_BYTES_MAX if name == "event_id" else NAME_BYTES_MAX


def _parts(counts: Mapping[str, int]) -> Iterator[str]:
    if counts["tool_call_errors"] > counts["tool_calls"]:
        yield "tool_call_errors"
    alone = [part for part, whole in PART_OF.items() if counts[part] > counts[whole]]
    yield from alone
    if (
        counts["cached_input_tokens"] + counts["cache_write_tokens"] + counts["cache_write_1h_tokens"]
        > (counts["input_tokens"])
    ):
        yield "cached_input_tokens"
    yield (
        "input_audio_tokens"
        if counts["input_audio_tokens"] + counts["input_image_tokens"] > (counts["input_tokens"])
        else "output_audio_tokens"
    )


def _of_corrections(record: Mapping[str, Any]) -> Iterator[str]:
    if record["kind"] == "CORRECTION":
        if record["corrects"] is None:
            yield "corrects"
        yield from (name for name in ("context_bucket", "rating") if record[name] is not None)
    else:
        yield from (name for name in _ONLY_OF_CORRECTIONS if record[name] not in (None, 0))
