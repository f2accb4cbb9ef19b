"""What the audit needs to know of each event or line, in columns: hashes and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import (
    CONTEXT_BUCKET_NAMES,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    HOUR_US,
    RATE_LIMITED_STATUS,
)
from tokenmeter.stack.audit.hashing import WORD_BYTES, Key
from tokenmeter.stack.audit.recount import BILLING_LINES, MARKET_LINES, MEASURES, LineKind
from tokenmeter.stack.audit.walk import I64, NULL, U8, U64, Walked

_FLAGS = ("streamed", "cancelled", "byok")


@dataclass(frozen=True)
class Facts:
    """Of each event: its place in the block, hashes of identity, payload and line keys, what it adds to a line."""

    places: I64
    identity: U64
    check: U64
    payload: U64
    occurred_at: I64
    lines: Mapping[LineKind, U64]
    measures: Mapping[str, I64]
    corrections: I64
    corrected_calls: I64

    def at(self, rows: I64 | slice) -> Facts:
        return Facts(
            self.places[rows],
            self.identity[rows],
            self.check[rows],
            self.payload[rows],
            self.occurred_at[rows],
            {kind: hashed[rows] for kind, hashed in self.lines.items()},
            {name: counts[rows] for name, counts in self.measures.items()},
            self.corrections[rows],
            self.corrected_calls[rows],
        )

    @staticmethod
    def joined(parts: Sequence[Facts]) -> Facts:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        none, nothing = np.empty(0, np.int64), np.empty(0, np.uint64)
        empty = Facts(
            none,
            nothing,
            nothing,
            nothing,
            none,
            {BILLING_LINES: nothing, MARKET_LINES: nothing},
            dict.fromkeys(MEASURES, none),
            none,
            none,
        )
        parts = [empty, *parts]
        return Facts(
            np.concatenate([p.places for p in parts]),
            np.concatenate([p.identity for p in parts]),
            np.concatenate([p.check for p in parts]),
            np.concatenate([p.payload for p in parts]),
            np.concatenate([p.occurred_at for p in parts]),
            {kind: np.concatenate([p.lines[kind] for p in parts]) for kind in (BILLING_LINES, MARKET_LINES)},
            {name: np.concatenate([p.measures[name] for p in parts]) for name in MEASURES},
            np.concatenate([p.corrections for p in parts]),
            np.concatenate([p.corrected_calls for p in parts]),
        )


@dataclass(frozen=True)
class Keys:
    """Two hashes that have nothing in common: where the first calls different identities equal, the second tells."""

    first: Key
    second: Key

    @staticmethod
    def drawn() -> Keys:
        return Keys(Key(), Key())


@dataclass(frozen=True)
class Text:
    """One text a row, of a few that there are."""

    data: U8
    begin: I64
    size: I64


@dataclass(frozen=True)
class Hashed:
    """A field whose hash is known."""

    hashes: U64


Known = Mapping[str, I64 | Text | Hashed]


def usage_facts(walked: Walked, places: I64, keys: Keys) -> Facts:
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
    derived: dict[str, I64 | Text | Hashed] = {
        "occurred_hour": occurred_at - occurred_at % HOUR_US,
        "operation": _chosen(_symbols("operation"), walked.numbers("operation")),
    }
    tokens = np.abs(measures["input_tokens"])
    bucket = np.searchsorted([below for below, _ in CONTEXT_BUCKETS], tokens, side="right")
    derived["context_bucket"] = _bucket(walked, keys.first, _chosen(CONTEXT_BUCKET_NAMES, bucket))
    # Billing and market lines have fields in common; each is hashed once.
    names = dict.fromkeys(("event_id", *BILLING_LINES.keys, *MARKET_LINES.keys))
    known: Known = {name: Hashed(field_key(walked, name, keys.first, derived)) for name in names}
    return Facts(
        places,
        line_keys(walked, ("customer_id", "event_id"), keys.first, known),
        line_keys(walked, ("customer_id", "event_id"), keys.second),
        _payload(walked, keys.first),
        occurred_at,
        {kind: line_keys(walked, kind.keys, keys.first, known) for kind in (BILLING_LINES, MARKET_LINES)},
        measures,
        is_correction.astype(np.int64),
        corrected_calls,
    )


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


def _chosen(texts: Sequence[str], index: I64) -> Text:
    parts = [text.encode() for text in texts]
    sizes = np.array([len(part) for part in parts])
    begins = np.cumsum(sizes) - sizes
    data = np.frombuffer(b"".join(parts) + bytes(WORD_BYTES), np.uint8)
    inside = np.clip(index, 0, len(parts) - 1)  # rows that are not ok may have any number
    return Text(data, begins[inside], sizes[inside])
