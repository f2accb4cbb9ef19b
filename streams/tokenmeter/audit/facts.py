"""What the audit needs to know of each event or line, in columns: hashes and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from tokenmeter.audit.amounts import fits, unscaled
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.pieces import Pieces
from tokenmeter.audit.recount import KINDS
from tokenmeter.audit.texts import Text, texts
from tokenmeter.audit.walked import I64, NULL, U64, Bools, Walked
from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import (
    CONTEXT_BUCKET_NAMES,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    HOUR_US,
    RATE_LIMITED_STATUS,
)

_FLAGS = ("streamed", "cancelled", "byok")
_RATED_BY = ("model", "provider", "variant", "service_tier", "byok", "rating")
"""Beside the payer, the time and the size."""
CALL_TOKENS_MAX = 3_000_000_000
"""The square of more may not fit 64 bits."""


@dataclass(frozen=True)
class Facts:
    """Of each event: its place in the block, hashes of identity, payload, customer, of what its rating depends on
    and of the keys that the call alone tells of each record's line, what it adds to a line, and whether 64 bits hold
    that."""

    places: I64
    identity: U64
    check: U64
    payload: U64
    customer: U64
    occurred_at: I64
    rated_by: U64
    lines: Mapping[str, U64]
    measures: Mapping[str, I64]
    corrections: I64
    corrected_calls: I64
    exact: Bools

    def at(self, rows: I64 | slice) -> Facts:
        return self._each(lambda column: column[rows])

    @staticmethod
    def joined(parts: Sequence[Facts]) -> Facts:
        """One after the other; at least one."""
        if len(parts) == 1:
            return parts[0]
        return parts[0]._each(lambda *columns: np.concatenate(columns), *parts[1:])

    def _each(self, made: Callable[..., Any], *others: Facts) -> Facts:
        """``made`` of each column, and the same column of ``others``."""

        def column(name: str) -> Any:
            mine, theirs = getattr(self, name), [getattr(other, name) for other in others]
            if not isinstance(mine, Mapping):
                return made(mine, *theirs)
            return {key: made(mine[key], *(other[key] for other in theirs)) for key in mine}

        return Facts(**{field.name: column(field.name) for field in fields(Facts)})


@dataclass(frozen=True)
class Keys:
    """Two hashes that have nothing in common: where the first calls different identities equal, the second tells."""

    first: Key
    second: Key

    @staticmethod
    def drawn() -> Keys:
        return Keys(Key(), Key())


@dataclass(frozen=True)
class Hashed:
    """A field whose hash is known."""

    hashes: U64


Known = Mapping[str, I64 | Text | Hashed]


def usage_facts(walked: Walked, places: I64, keys: Keys, pieces: Pieces) -> Facts:
    """The facts of events; rows that are not ``ok`` have some, too, that nobody may use."""
    status, occurred_at = walked.numbers("status"), walked.numbers("occurred_at")
    is_correction = walked.numbers("kind") == _symbols("kind").index("CORRECTION")
    corrected_calls = np.where(is_correction, walked.numbers("calls"), 0)
    calls = np.where(is_correction, corrected_calls, 1)  # a correction is no call; it may stand for some
    error = (status >= ERROR_STATUS_MIN) | (walked.sizes("error_class") != NULL)
    measures = {
        "events": calls,
        "errors": calls * error,
        "rate_limited": calls * (status == RATE_LIMITED_STATUS),
        **{name: calls * walked.numbers(name) for name in _FLAGS},
        **{name: walked.numbers(name) for name in QUANTITY_FIELDS},
    }
    measures |= _of_calls(walked, 1 - is_correction, measures)
    derived: dict[str, I64 | Text | Hashed] = {
        "occurred_hour": occurred_at - occurred_at % HOUR_US,
        "operation": _chosen(_symbols("operation"), walked.numbers("operation")),
    }
    tokens = np.abs(measures["input_tokens"])
    bucket = np.searchsorted([below for below, _ in CONTEXT_BUCKETS], tokens, side="right")
    derived["context_bucket"] = _bucket(walked, keys.first, _chosen(CONTEXT_BUCKET_NAMES, bucket))
    # Billing and market lines have fields in common; each is hashed once.
    names = dict.fromkeys(("event_id", *_RATED_BY, *(name for kind in KINDS for name in kind.usage)))
    known: Known = {name: Hashed(field_key(walked, name, keys.first, derived)) for name in names}
    return Facts(
        places,
        line_keys(walked, ("customer_id", "event_id"), keys.first, known),
        line_keys(walked, ("customer_id", "event_id"), keys.second),
        _payload(walked, keys.first),
        field_key(walked, "customer_id", keys.first, known),
        occurred_at,
        _rated_by(walked, keys.first, known, pieces),
        {kind.record: line_keys(walked, kind.usage, keys.first, known) for kind in KINDS},
        measures,
        is_correction.astype(np.int64),
        corrected_calls,
        (np.abs(measures["input_tokens"] + measures["output_tokens"]) < CALL_TOKENS_MAX)
        & fits(walked, "reported_cost"),
    )


def _of_calls(walked: Walked, is_call: I64, counts: Mapping[str, I64]) -> dict[str, I64]:
    """What describes single calls; nothing of it comes from a correction."""
    latency, duration = walked.numbers("latency_ms"), walked.numbers("duration_ms")
    has_latency = is_call * (walked.present("latency_ms") & (latency >= 0))
    generates = has_latency * (walked.present("duration_ms") & (duration > latency))
    reports = is_call * (walked.sizes("reported_cost") != NULL)
    tokens = is_call * (counts["input_tokens"] + counts["output_tokens"])
    return {
        "latency_calls": has_latency,
        "latency_sum_ms": has_latency * latency,
        "generation_calls": generates,
        "generation_sum_ms": generates * (duration - latency),
        "generation_tokens": generates * counts["output_tokens"],
        "tokens_squared": tokens * tokens,
        "reported_calls": reports,
        "reported_cost": reports * unscaled(walked, "reported_cost"),
    }


def _rated_by(walked: Walked, key: Key, known: Known, pieces: Pieces) -> U64:
    """A hash of everything that the rating of an event depends on."""
    customers = field_key(walked, "customer_id", key, known)
    state = key.number(key.begin(len(walked.ok)), pieces.payers(customers).view(np.int64))
    state = key.number(state, pieces.of(walked.numbers("occurred_at"), walked.numbers("input_tokens")))
    for name in _RATED_BY:
        state = key.number(state, field_key(walked, name, key, known).view(np.int64))
    return state


def line_keys(walked: Walked, names: Sequence[str], key: Key, known: Known | None = None) -> U64:
    """A hash of the fields ``names``, or of what is ``known`` under their names. Lines and events meet in it."""
    state = key.begin(len(walked.ok))
    for name in names:
        state = key.number(state, field_key(walked, name, key, known).view(np.int64))
    return state


def field_key(walked: Walked, name: str, key: Key, known: Known | None = None) -> U64:
    """A hash of one field."""
    value = (known or {}).get(name)
    if isinstance(value, Hashed):
        return value.hashes
    state = key.begin(len(walked.ok))
    if isinstance(value, Text):
        return key.text(state, value.data, value.begin, value.size)
    if value is not None:
        return key.number(state, value)
    column = walked.columns[name]
    if column.begin is None or column.size is None:
        return key.number(state, walked.numbers(name))
    return key.text(state, walked.data, column.begin, column.size)


def _bucket(walked: Walked, key: Key, by_tokens: Text) -> Hashed:
    """The bucket that an event names, or that of its tokens."""
    column, state = walked.columns["context_bucket"], key.begin(len(walked.ok))
    hashes = key.text(state, by_tokens.data, by_tokens.begin, by_tokens.size)
    if column.present is None or column.present.any():
        assert column.begin is not None and column.size is not None
        hashes = np.where(column.size == NULL, hashes, key.text(state, walked.data, column.begin, column.size))
    return Hashed(hashes)


def _payload(walked: Walked, key: Key) -> U64:
    """All but what the emitter stamps: the bytes before ``source`` and those after ``sequence``."""
    begin, source, after = walked.begins["event_id"], walked.begins["source"], walked.begins["customer_id"]
    state = key.text(key.begin(len(walked.ok)), walked.data, begin, np.maximum(source - begin, 0))
    return key.text(state, walked.data, after, np.maximum(walked.ends - after, 0))


@cache
def _symbols(name: str) -> tuple[str, ...]:
    found = next(field["type"] for field in latest("usage_event").document["fields"] if field["name"] == name)
    return tuple(found["symbols"])


def _chosen(names: Sequence[str], index: I64) -> Text:
    inside = np.clip(index, 0, len(names) - 1)  # rows that are not ok may have any number
    return texts(names).at(inside)
