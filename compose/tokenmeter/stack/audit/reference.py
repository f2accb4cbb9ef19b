"""The slowest obvious recount: record by record, plain dicts and integers. Pure.

Blocks that the engine cannot read are judged by it value by value, and tests hold the engine's figures against it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Poison
from tokenmeter.events.lines import CONTEXT_BUCKET_TOP, CONTEXT_BUCKETS, ERROR_STATUS_MIN, RATE_LIMITED_STATUS
from tokenmeter.stack.audit.recount import BILLING_LINES, MARKET_LINES, U64_MASK, Counts, Key, LineKind, Recount
from tokenmeter.stack.audit.repeats import KEEP_HORIZONS

_EMITTER_FIELDS = ("source", "sequence")


@dataclass(frozen=True)
class LogRecord:
    """One record of the log, as Kafka gives it."""

    offset: int
    appended_at_ms: int
    value: bytes | None


class _Seen:
    """Identities of usable events within the horizon."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._keep_ms = KEEP_HORIZONS * horizon_ms
        self._recent: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()

    def look(self, record: Mapping[str, Any], appended_at_ms: int) -> str:
        """ "fresh", "duplicate" or "conflict"; the event is remembered."""
        identity = _hash(record["customer_id"], record["event_id"])
        payload = _hash(*(f"{k}={v!r}" for k, v in sorted(record.items()) if k not in _EMITTER_FIELDS))
        before = self._recent.pop(identity, None)
        self._recent[identity] = (appended_at_ms, payload)
        while self._recent and appended_at_ms - next(iter(self._recent.values()))[0] > self._keep_ms:
            self._recent.popitem(last=False)
        if before is None or appended_at_ms - before[0] > self._horizon_ms:
            return "fresh"
        return "duplicate" if before[1] == payload else "conflict"


def recount(
    records: Iterable[LogRecord],
    pages: Iterable[tuple[int, int]],
    horizon_ms: int,
    unknown_then: Set[int] = frozenset(),
) -> Iterator[Recount]:
    """Count ``records`` (one partition, in order) into ``pages`` (contiguous (first, last) offsets), one after another.

    Records before the first page only fill the horizon; records after the last one are left unread. The offsets
    ``unknown_then`` were quarantined because their schema was not known to the meter of that time; see ``read``.
    """
    seen = _Seen(horizon_ms)
    source = iter(records)
    record = next(source, None)
    for first, last in pages:
        page = Recount(first, last)
        while record is not None and record.offset <= last:
            _count(page if record.offset >= first else None, record, seen, record.offset in unknown_then)
            record = next(source, None)
        yield page


def read(value: bytes | None, appended_at_ms: int, unknown_then: bool = False) -> tuple[str, dict[str, Any] | None]:
    """(why the value cannot be used or "", its record if it is one).

    ``unknown_then``: the meter of that time did not know the schema. It is believed for versions that came later, and
    for the first one never.
    """
    try:
        decoded = wire.decode(value, expect="usage_event")
    except Poison as poison:
        return poison.reason, None
    event = decoded.record
    if unknown_then and decoded.schema.version > 1:
        return "schema", event
    return accept.reason_against(event, appended_at_ms * 1000) or "", event


def _count(page: Recount | None, record: LogRecord, seen: _Seen, unknown_then: bool) -> None:
    reason, event = read(record.value, record.appended_at_ms, unknown_then)
    status = seen.look(event, record.appended_at_ms) if event is not None and not reason else ""
    if page is None:
        return
    page.events_in += 1
    if event is None or reason:
        page.quarantined.append((record.offset, reason))
    elif status == "duplicate":
        page.duplicates += 1
    elif status == "conflict":
        page.quarantined.append((record.offset, "conflict"))
    else:
        _meter(page, record.offset, event)


def _meter(page: Recount, offset: int, event: dict[str, Any]) -> None:
    page.events += 1
    page.offset_sum = page.offset_sum + offset & U64_MASK
    page.offset_squares = page.offset_squares + offset * offset & U64_MASK
    at = event["occurred_at"]
    page.earliest = at if page.earliest is None else min(page.earliest, at)
    page.latest = at if page.latest is None else max(page.latest, at)
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    bucket = event["context_bucket"] or _bucket(abs(event["input_tokens"]))
    facts = {**event, "occurred_hour": hour, "context_bucket": bucket}
    calls = 1  # a correction is no call; it may stand for some, with a sign
    if event["kind"] == "CORRECTION":
        calls = event["calls"]
        page.corrections += 1
        page.corrected_calls += calls
    error = event["status"] >= ERROR_STATUS_MIN or event["error_class"] is not None
    counts = {
        "events": calls,
        "errors": calls * error,
        "rate_limited": calls * (event["status"] == RATE_LIMITED_STATUS),
        **{name: calls * event[name] for name in ("streamed", "cancelled", "byok")},
        **{name: event[name] for name in QUANTITY_FIELDS},
    }
    for name in QUANTITY_FIELDS:
        page.quantities[name] += event[name]
    _add(page.billing, BILLING_LINES, facts, counts)
    _add(page.market, MARKET_LINES, facts, counts)


def _add(lines: dict[Key, Counts] | None, kind: LineKind, facts: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    assert lines is not None
    line = lines.setdefault(tuple(facts[key] for key in kind.keys), defaultdict(int))
    for name in kind.measures:
        line[name] += counts[name]


def _bucket(input_tokens: int) -> str:
    return next((name for below, name in CONTEXT_BUCKETS if input_tokens < below), CONTEXT_BUCKET_TOP)


def _hash(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\x00")
    return digest.digest()
