"""The slowest obvious recount: record by record, plain dicts and integers. Pure.

Blocks that the engine cannot read are judged by it value by value, and tests hold the engine's figures against it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from tokenmeter.audit.charges import Charges
from tokenmeter.audit.recount import RESALE_LINES, U64_MASK, Line, LineKind, Recount, Rules
from tokenmeter.audit.repeats import KEEP_HORIZONS
from tokenmeter.audit.routes import MISROUTED, Route
from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Poison
from tokenmeter.events.lines import CONTEXT_BUCKET_TOP, CONTEXT_BUCKETS, ERROR_STATUS_MIN, RATE_LIMITED_STATUS
from tokenmeter.events.rating import pico

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
    charges: Charges | None = None,
    rules: Mapping[int, Rules] | None = None,
) -> Iterator[Recount]:
    """Count ``records`` (one partition, in order) into ``pages`` (contiguous (first, last) offsets), one after another.

    Records before the first page only fill the horizon; records after the last one are left unread. The offsets
    ``unknown_then`` were quarantined because their schema was not known to the meter of that time; see ``read``.
    ``charges`` knows the catalog (None: an empty one), ``rules`` how each page is counted, by its first offset.
    """
    seen = _Seen(horizon_ms)
    meter = _Meter(charges or Charges(()), rules or {})
    source = iter(records)
    record = next(source, None)
    for first, last in pages:
        page = Recount(first, last)
        while record is not None and record.offset <= last:
            counted = page if record.offset >= first else None
            _count(counted, record, seen, record.offset in unknown_then, meter)
            record = next(source, None)
        yield page


def read(
    value: bytes | None, appended_at_ms: int, unknown_then: bool = False, route: Route | None = None, offset: int = 0
) -> tuple[str, dict[str, Any] | None]:
    """(why the value cannot be used or "", its record if it is one).

    ``unknown_then``: the meter of that time did not know the schema. It is believed for versions that came later, and
    for the first one never. ``route``: whose events belong where the value lies, at ``offset``; None: everybody's.
    """
    try:
        decoded = wire.decode(value, expect="usage_event")
    except Poison as poison:
        return poison.reason, None
    event = decoded.record
    if unknown_then and decoded.schema.version > 1:
        return "schema", event
    reason = accept.reason_against(event, appended_at_ms * 1000) or ""
    if not reason and route is not None and route.misrouted(event["customer_id"], offset):
        return MISROUTED, event
    return reason, event


def _count(page: Recount | None, record: LogRecord, seen: _Seen, unknown_then: bool, meter: _Meter) -> None:
    route = None if page is None else meter.rules.get(page.first_offset, Rules()).route
    reason, event = read(record.value, record.appended_at_ms, unknown_then, route, record.offset)
    known = event is not None and reason in ("", MISROUTED)  # a repeat of what is misrouted is misrouted, too
    status = seen.look(event, record.appended_at_ms) if event is not None and known else ""
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
        meter.add(page, record.offset, event)


@dataclass(frozen=True)
class _Meter:
    """Adds usable events to their page."""

    charges: Charges
    rules: Mapping[int, Rules]

    def add(self, page: Recount, offset: int, event: dict[str, Any]) -> None:
        """Rate one event and count it in every line it belongs to."""
        rules = self.rules.get(page.first_offset, Rules())
        page.events += 1
        page.offset_sum = page.offset_sum + offset & U64_MASK
        page.offset_squares = page.offset_squares + offset * offset & U64_MASK
        at = event["occurred_at"]
        page.earliest = at if page.earliest is None else min(page.earliest, at)
        page.latest = at if page.latest is None else max(page.latest, at)
        if event["kind"] == "CORRECTION":
            page.corrections += 1
            page.corrected_calls += event["calls"]
        for name in QUANTITY_FIELDS:
            page.quantities[name] += event[name]
        facts = _facts(event)
        rated, levels = self._rated(event, facts, rules.catalog_offset)
        page.unpriced += rated["charge"] is None
        _earn(page.charges, rated["currency"], rated["charge"])
        _earn(page.costs, rated["cost_currency"], rated["cost"])
        for kind in rules.kinds:
            for level in levels if kind == RESALE_LINES else (rated,):
                _add(page, kind, {**facts, **level})

    def _rated(self, event: Mapping[str, Any], facts: Mapping[str, Any], x: int) -> tuple[Line, list[Line]]:
        """What the rating adds to the facts of an event, and to each level above its customer."""
        rating = self.charges.rating_of_event(event, x)
        calls, cost = facts["events"], self.charges.charge(rating.cost_price_id, facts, x)
        own = {
            **self._paid(rating.price_id, facts, x),
            "cost_price_id": rating.cost_price_id,
            "cost_currency": self.charges.currency(rating.cost_price_id, x),
            "plan_id": rating.plan_id,
            "chain": rating.chain,
            "cost": cost,
            "reported_calls_cost": cost if facts["reported_calls"] else None,
        }
        own |= {"unpriced": calls * (own["charge"] is None), "uncosted": calls * (cost is None)}
        sellers = [level.account_id for level in rating.levels[1:]]
        levels = [
            {"account_id": level.account_id, "seller_id": seller, "level": number}
            | self._paid(level.price_id, facts, x)
            for number, (level, seller) in enumerate(zip(rating.levels, [*sellers, None], strict=False), 1)
        ]
        return own, levels

    def _paid(self, price_id: str | None, facts: Mapping[str, Any], x: int) -> Line:
        return {
            "price_id": price_id,
            "currency": self.charges.currency(price_id, x),
            "provisional": self.charges.provisional(price_id, x),
            "charge": self.charges.charge(price_id, facts, x),
        }


def _facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with what it counts for in a line, whoever pays for it."""
    is_call = event["kind"] != "CORRECTION"  # a correction is no call; it may stand for some, with a sign
    calls = 1 if is_call else event["calls"]
    error = event["status"] >= ERROR_STATUS_MIN or event["error_class"] is not None
    latency, duration = event["latency_ms"], event["duration_ms"]
    has_latency = is_call and latency is not None and latency >= 0
    generates = has_latency and duration is not None and duration > latency
    reports = is_call and event["reported_cost"] is not None
    tokens = event["input_tokens"] + event["output_tokens"]
    return {
        **event,
        "occurred_hour": event["occurred_at"].astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        "context_bucket": event["context_bucket"] or _bucket(abs(event["input_tokens"])),
        "events": calls,
        "errors": calls * error,
        "rate_limited": calls * (event["status"] == RATE_LIMITED_STATUS),
        **{name: calls * event[name] for name in ("streamed", "cancelled", "byok")},
        "latency_calls": int(has_latency),
        "latency_sum_ms": latency if has_latency else 0,
        "generation_calls": int(generates),
        "generation_sum_ms": duration - latency if generates else 0,
        "generation_tokens": event["output_tokens"] if generates else 0,
        "tokens_squared": tokens * tokens if is_call else 0,
        "reported_calls": int(reports),
        "reported_cost": pico(event["reported_cost"]) if reports else None,
    }


def _earn(by_currency: dict[str, int], currency: str | None, amount: int | None) -> None:
    if currency is not None and amount is not None:
        by_currency[currency] = by_currency.get(currency, 0) + amount


def _add(page: Recount, kind: LineKind, facts: Mapping[str, Any]) -> None:
    assert page.lines is not None
    line = page.lines[kind.record].setdefault(tuple(facts[key] for key in kind.keys), {})
    for name in kind.rated:
        line[name] = facts[name]
    for name in kind.measures:
        line[name] = line.get(name, 0) + facts[name]
    for name in kind.amounts:
        before = line.setdefault(name, None)
        line[name] = before if facts[name] is None else (before or 0) + facts[name]


def _bucket(input_tokens: int) -> str:
    return next((name for below, name in CONTEXT_BUCKETS if input_tokens < below), CONTEXT_BUCKET_TOP)


def _hash(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\x00")
    return digest.digest()
