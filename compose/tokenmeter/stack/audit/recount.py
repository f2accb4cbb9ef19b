"""One partition of usage.events, counted again: records in, one Recount per page out. Pure."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.lines import (
    BILLING_KEYS,
    CONTEXT_BUCKET_TOP,
    CONTEXT_BUCKETS,
    ERROR_STATUS_MIN,
    MARKET_KEYS,
    RATE_LIMITED_STATUS,
)

IDENTITIES_MAX = 20_000_000
"""Identities remembered for one partition; beyond it the audit needs more memory than a small machine has."""
_EMITTER_FIELDS = ("source", "sequence")


@dataclass(frozen=True)
class LogRecord:
    """One record of the log, as Kafka gives it."""

    offset: int
    appended_at_ms: int
    value: bytes | None


@dataclass
class Recount:
    """What one page should say. ``stored_*`` is what ClickHouse's raw table should hold of the page's offsets."""

    first_offset: int
    last_offset: int
    events_in: int = 0
    events: int = 0
    corrections: int = 0
    corrected_calls: int = 0
    duplicates: int = 0
    quarantined: list[tuple[int, str]] = field(default_factory=list)
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    earliest: datetime | None = None
    latest: datetime | None = None
    billing: dict[tuple[Any, ...], dict[str, int]] = field(default_factory=dict)
    market: dict[tuple[Any, ...], dict[str, int]] = field(default_factory=dict)
    stored_events: int = 0
    stored: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))

    @property
    def calls(self) -> int:
        """What the lines' ``events`` add up to."""
        return self.events - self.corrections + self.corrected_calls


class _Seen:
    """Identities of usable events: which were appended within the horizon, and which ever."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._recent: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._ever: set[bytes] = set()

    def look(self, record: Mapping[str, Any], appended_at_ms: int) -> tuple[str, bool]:
        """("fresh" | "duplicate" | "conflict", whether it is the first of its identity); it is remembered."""
        identity = _hash(record["customer_id"], record["event_id"])
        payload = _hash(*(f"{k}={v!r}" for k, v in record.items() if k not in _EMITTER_FIELDS))
        before = self._recent.pop(identity, None)
        self._recent[identity] = (appended_at_ms, payload)
        while self._recent:
            oldest = next(iter(self._recent))
            if appended_at_ms - self._recent[oldest][0] <= self._horizon_ms:
                break
            del self._recent[oldest]
        first = identity not in self._ever
        self._ever.add(identity)
        if len(self._ever) > IDENTITIES_MAX:
            raise Fatal(
                f"more than {IDENTITIES_MAX} distinct events in one partition: the audit does not fit in memory",
                hint="audit on a larger machine, or after retention has removed older events",
            )
        if before is None or appended_at_ms - before[0] > self._horizon_ms:
            return "fresh", first
        return ("duplicate" if before[1] == payload else "conflict"), first


def recount(
    records: Iterable[LogRecord],
    pages: Iterable[tuple[int, int]],
    horizon_ms: int,
    unknown_then: Set[int] = frozenset(),
) -> Iterator[Recount]:
    """Count ``records`` (one partition, in order) into ``pages`` (contiguous (first, last) offsets), one after another.

    Records before the first page only fill the horizon; records after the last one are left unread. The offsets
    ``unknown_then`` were quarantined because their schema was not known to the meter of that time; it is believed for
    versions that came later, and for the first one never.
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


def _count(page: Recount | None, record: LogRecord, seen: _Seen, unknown_then: bool) -> None:
    reason, event = _read(record, unknown_then)
    status, first = seen.look(event, record.appended_at_ms) if event is not None else ("", False)
    if page is None:
        return
    page.events_in += 1
    if event is None:
        page.quarantined.append((record.offset, reason))
        return
    if first:
        page.stored_events += 1
        for name in QUANTITY_FIELDS:
            page.stored[name] += event[name]
    if status == "duplicate":
        page.duplicates += 1
    elif status == "conflict":
        page.quarantined.append((record.offset, "conflict"))
    else:
        _meter(page, event)


def _read(record: LogRecord, unknown_then: bool) -> tuple[str, dict[str, Any] | None]:
    """The event, or why it cannot be used."""
    try:
        decoded = wire.decode(record.value, expect="usage_event")
    except Poison as poison:
        return poison.reason, None
    if unknown_then and decoded.schema.version > 1:
        return "schema", None
    event = decoded.record
    reason = accept.reason_against(event, record.appended_at_ms * 1000)
    return (reason, None) if reason else ("", event)


def _meter(page: Recount, event: dict[str, Any]) -> None:
    page.events += 1
    at = event["occurred_at"]
    page.earliest = at if page.earliest is None else min(page.earliest, at)
    page.latest = at if page.latest is None else max(page.latest, at)
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    bucket = event["context_bucket"] or _bucket(abs(event["input_tokens"]))
    facts = {**event, "occurred_hour": hour, "context_bucket": bucket}
    error = event["status"] >= ERROR_STATUS_MIN or event["error_class"] is not None
    calls = 1  # a correction is no call; it may stand for some, with a sign
    if event["kind"] == "CORRECTION":
        calls = event["calls"]
        page.corrections += 1
        page.corrected_calls += calls
    counts = {"events": calls, "errors": calls * error, **{name: event[name] for name in QUANTITY_FIELDS}}
    flags = {name: calls * event[name] for name in ("streamed", "cancelled", "byok")}
    limited = {"rate_limited": calls * (event["status"] == RATE_LIMITED_STATUS)}
    for name in QUANTITY_FIELDS:
        page.quantities[name] += event[name]
    _add(page.billing, tuple(facts[key] for key in BILLING_KEYS), counts)
    _add(page.market, tuple(facts[key] for key in MARKET_KEYS), {**counts, **flags, **limited})


def _add(lines: dict[tuple[Any, ...], dict[str, int]], key: tuple[Any, ...], counts: Mapping[str, int]) -> None:
    line = lines.setdefault(key, defaultdict(int))
    for name, count in counts.items():
        line[name] += count


def _bucket(input_tokens: int) -> str:
    return next((name for below, name in CONTEXT_BUCKETS if input_tokens < below), CONTEXT_BUCKET_TOP)


def _hash(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\x00")
    return digest.digest()


def ordered(lines: Mapping[tuple[Any, ...], dict[str, int]]) -> list[tuple[tuple[Any, ...], dict[str, int]]]:
    """Lines in their order on a page: by key, nulls first."""
    return sorted(lines.items(), key=lambda line: [(part is not None, part) for part in line[0]])
