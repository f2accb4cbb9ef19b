"""Which events are accepted: the one rule that the SDK, the meter, the loader and the audit all apply.

The rule is written with comparisons, ``&`` and ``|`` alone, so the same lines judge one event (Python numbers) or a
million (polars expressions). stored + quarantined = produced holds because nobody has a rule of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES
from tokenmeter.events.rating import RATING_PATTERN

LATE_MAX_US = 35 * 86_400 * 1_000_000
"""An event may have ended at most this long before the broker appended it."""
EARLY_MAX_US = 5 * 60 * 1_000_000
"""An emitter's clock may run at most this far ahead of the broker's."""
EVENT_ID_BYTES_MAX = 64
NAME_BYTES_MAX = 256
"""Customer, model and provider names."""
QUANTITY_MAX = 10**12
"""No single call has a trillion tokens; the bound keeps every 64-bit sum of a page exact."""
INT_MAX = 2**31 - 1
COST_MAX_USD = 10**12
TIME_MIN_US, TIME_MAX_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Years 1 to 9999: what a timestamp of every client can hold."""

INT_FIELDS: tuple[str, ...] = ("attempt", "status", "latency_ms", "duration_ms")
TIME_FIELDS: tuple[str, ...] = ("occurred_at", "started_at")
NAME_FIELDS: tuple[str, ...] = ("event_id", "customer_id", "model", "provider")

DETAILS: dict[str, str] = {
    "range": f"attempt, status, latency_ms or duration_ms beyond 32 bits, a time outside years 1 to 9999, or "
    f"reported_cost beyond {COST_MAX_USD} USD",
    "identity": f"event_id (1 to {EVENT_ID_BYTES_MAX} bytes), customer_id, model or provider "
    f"(1 to {NAME_BYTES_MAX} bytes) is empty or too long",
    "correction": "a CORRECTION must name what it corrects, and only a CORRECTION may do so, carry calls, name a "
    "context bucket or a rating",
    "negative": "a USAGE event has a negative token count or count",
    "too_large": f"a token count or count is beyond {QUANTITY_MAX}",
    "breakdown": "a part is larger than its whole: cached + cache writes <= input, reasoning <= output, "
    "audio or image tokens <= their side",
    "late": "ended more than 35 days before the broker appended it",
    "early": "ended more than 5 minutes after the broker appended it",
}


def range_violation(event: Mapping[str, Any]) -> Any:
    """Whether a figure is beyond what its type holds everywhere; ``event`` as in ``violations``."""
    bad = (event["reported_cost"] > COST_MAX_USD) | (event["reported_cost"] < -COST_MAX_USD)
    for name in INT_FIELDS:
        bad = bad | (event[name] > INT_MAX) | (event[name] < -INT_MAX)
    for name in TIME_FIELDS:
        bad = bad | (event[f"{name}_us"] < TIME_MIN_US) | (event[f"{name}_us"] > TIME_MAX_US)
    return bad


def violations(event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (reason, is_violated) for each rule, most telling first; the first violated one is the reason.

    ``event`` maps to a scalar or to a column expression, and what is yielded is of the same kind: each quantity field
    and INT_FIELD, ``calls``, ``reported_cost``, ``is_correction``, ``has_corrects``, ``has_bucket``,
    ``has_known_bucket``, ``has_rating`` and ``has_readable_rating`` (booleans), ``NAME_bytes`` for each of NAME_FIELDS,
    and ``TIME_us`` for each of TIME_FIELDS. A missing optional figure counts as 0.
    """
    yield "range", range_violation(event)

    names_bad = event["event_id_bytes"] > EVENT_ID_BYTES_MAX
    for name in NAME_FIELDS:
        names_bad = names_bad | (event[f"{name}_bytes"] < 1) | (event[f"{name}_bytes"] > NAME_BYTES_MAX)
    yield "identity", names_bad

    is_correction = event["is_correction"]
    is_usage = is_correction == False  # noqa: E712  (``not`` does not work on columns)
    calls, has_bucket = event["calls"], event["has_bucket"]
    yield (
        "correction",
        (is_correction != event["has_corrects"])
        | (is_usage & ((calls < 0) | (calls > 0) | has_bucket | event["has_rating"]))
        | (has_bucket != event["has_known_bucket"])
        | (event["has_rating"] != event["has_readable_rating"]),
    )

    negative = event["input_tokens"] < 0
    too_large = (calls > QUANTITY_MAX) | (calls < -QUANTITY_MAX)
    for name in QUANTITY_FIELDS:
        negative = negative | (event[name] < 0)
        too_large = too_large | (event[name] > QUANTITY_MAX) | (event[name] < -QUANTITY_MAX)
    yield "too_large", too_large
    yield "negative", is_usage & negative

    whole_in, whole_out = event["input_tokens"], event["output_tokens"]
    cache = event["cached_input_tokens"] + event["cache_write_tokens"] + event["cache_write_1h_tokens"]
    breakdown = (
        (cache > whole_in)
        | (event["input_audio_tokens"] + event["input_image_tokens"] > whole_in)
        | (event["reasoning_tokens"] > whole_out)
        | (event["output_audio_tokens"] + event["output_image_tokens"] > whole_out)
        | (event["tool_call_errors"] > event["tool_calls"])
    )
    yield "breakdown", is_usage & breakdown


def time_violations(occurred_at_us: Any, appended_at_us: Any) -> Iterator[tuple[str, Any]]:
    """Yield (reason, is_violated) for the accepted time range; both arguments are microseconds since 1970."""
    yield "late", occurred_at_us < appended_at_us - LATE_MAX_US
    yield "early", occurred_at_us > appended_at_us + EARLY_MAX_US


_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def _microseconds(time: datetime | None) -> int:
    return 0 if time is None else (time - _EPOCH) // _MICROSECOND


def scalars(record: Mapping[str, Any]) -> dict[str, Any]:
    """One decoded record in the form ``violations`` takes."""
    return {
        **{name: record[name] for name in QUANTITY_FIELDS},
        **{name: record[name] or 0 for name in INT_FIELDS},
        **{f"{name}_us": _microseconds(record[name]) for name in TIME_FIELDS},
        **{f"{name}_bytes": len(record[name].encode()) for name in NAME_FIELDS},
        "reported_cost": record["reported_cost"] or Decimal(0),
        "is_correction": record["kind"] == "CORRECTION",
        "has_corrects": record["corrects"] is not None,
        "calls": record["calls"],
        "has_bucket": record["context_bucket"] is not None,
        "has_known_bucket": record["context_bucket"] in CONTEXT_BUCKET_NAMES,
        "has_rating": record["rating"] is not None,
        "has_readable_rating": record["rating"] is not None and re.match(RATING_PATTERN, record["rating"]) is not None,
    }


def reason_against(record: Mapping[str, Any], appended_at_us: int | None = None) -> str | None:
    """Why one event (a decoded record) is not accepted, or None. Without a time only the figures are judged."""
    event = scalars(record)
    rules = [*violations(event)]
    if appended_at_us is not None:
        rules += time_violations(event["occurred_at_us"], appended_at_us)
    return next((reason for reason, violated in rules if violated), None)
