"""What lines must add up to, by key: counted from the events that were sent, one by one, in plain dicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from support.broker import read_all
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import BILLING, MARKET, QUANTITY_FIELDS
from tokenmeter.events.lines import BILLING_USAGE_KEYS, MARKET_USAGE_KEYS

Totals = dict[tuple[Any, ...], dict[str, int]]
FLAGS = ("rate_limited", "streamed", "cancelled", "byok")
MEASURES: dict[str, tuple[str, ...]] = {
    BILLING: ("events", "errors", *QUANTITY_FIELDS),
    MARKET: ("events", "errors", *FLAGS, *QUANTITY_FIELDS),
}
KEYS: dict[str, tuple[str, ...]] = {BILLING: BILLING_USAGE_KEYS, MARKET: MARKET_USAGE_KEYS}


def bucket(input_tokens: int) -> str:
    """By hand: the contract's names, not its code."""
    if input_tokens < 1_000:
        return "<1k"
    if input_tokens < 10_000:
        return "1k-10k"
    if input_tokens < 100_000:
        return "10k-100k"
    return "100k-1m" if input_tokens < 1_000_000 else ">=1m"


def expected(topic: str, events: Iterable[UsageEvent]) -> Totals:
    """Totals of ``events``, each counted once; corrections count as many calls as they say."""
    found: Totals = defaultdict(lambda: dict.fromkeys(MEASURES[topic], 0))
    for event in events:
        record = event.to_record()
        calls = record["calls"] if record["kind"] == "CORRECTION" else 1
        counts = {
            "events": calls,
            "errors": calls * (record["status"] >= 400 or record["error_class"] is not None),
            "rate_limited": calls * (record["status"] == 429),
            **{flag: calls * record[flag] for flag in FLAGS[1:]},
            **{name: record[name] for name in QUANTITY_FIELDS},
        }
        record["occurred_hour"] = record["occurred_at"].replace(minute=0, second=0, microsecond=0)
        record["context_bucket"] = record["context_bucket"] or bucket(abs(record["input_tokens"]))
        line = found[tuple(record[key] for key in KEYS[topic])]
        for name in MEASURES[topic]:
            line[name] += counts[name]
    return _without_zeros(found)


def on_topic(bootstrap: str, topic: str) -> Totals:
    """Totals of the lines a consumer reads; keys whose lines cancel out are left out."""
    found: Totals = defaultdict(lambda: dict.fromkeys(MEASURES[topic], 0))
    for record in read_all(bootstrap, topic):
        row = decode(record.value).record
        line = found[tuple(row[key] for key in KEYS[topic])]
        for name in MEASURES[topic]:
            line[name] += row[name]
    return _without_zeros(found)


def _without_zeros(totals: Totals) -> Totals:
    return {key: line for key, line in totals.items() if any(line.values())}


def different(wanted: Totals, found: Totals) -> list[str]:
    """Which keys and fields differ, as text."""
    empty: dict[str, int] = {}
    differing = [key for key in {*wanted, *found} if wanted.get(key, empty) != found.get(key, empty)]
    return [
        f"{key}: "
        + ", ".join(
            f"{name} {found.get(key, empty).get(name, 0)} for {wanted.get(key, empty).get(name, 0)}"
            for name in {**wanted.get(key, empty), **found.get(key, empty)}
            if found.get(key, empty).get(name, 0) != wanted.get(key, empty).get(name, 0)
        )
        for key in sorted(differing, key=str)
    ]
