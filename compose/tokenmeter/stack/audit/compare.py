"""Compares one page's recount with what the other places say of it. Pure; the first difference is the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.lines import BILLING_KEYS, MARKET_KEYS, page_digest, without_digest
from tokenmeter.stack.audit.recount import Recount, ordered


@dataclass(frozen=True)
class Difference:
    """One figure that two places disagree on."""

    page: str
    field: str
    expected_place: str
    expected: Any
    place: str
    found: Any

    def __str__(self) -> str:
        return f"{self.page} field {self.field}: {self.expected_place} {self.expected}, {self.place} {self.found}"


@dataclass(frozen=True)
class PageEvidence:
    """What the topics and ClickHouse hold of one page. Lines are (line number, wire value), in line order."""

    page: dict[str, Any]
    page_value: bytes
    previous_digest: bytes
    billing: Sequence[tuple[int, bytes]]
    market: Sequence[tuple[int, bytes]]
    quarantined: Sequence[tuple[int, str]]
    stored: Mapping[str, Mapping[str, Any]]
    """By table (usage_events, usage_billing, usage_market, usage_pages, quarantine): the page's sums there."""


def name_of(partition: int, first: int, last: int) -> str:
    """How a page is called."""
    return f"page {partition}@[{first},{last}]"


def compare(recount: Recount, evidence: PageEvidence) -> Difference | None:
    """The first difference, looked for from the log outwards, or None."""
    page = evidence.page
    name = name_of(page["partition"], page["first_offset"], page["last_offset"])
    for field, expected_place, expected, place, found in _facts(recount, evidence):
        if expected != found:
            return Difference(name, field, expected_place, expected, place, found)
    return None


def _facts(recount: Recount, evidence: PageEvidence) -> Iterator[tuple[str, str, Any, str, Any]]:
    page = evidence.page
    for field, value in _page_figures(recount).items():
        yield field, "log", value, "usage.pages", page[field]
    yield from _lines("usage.billing", BILLING_KEYS, recount.billing, evidence.billing)
    yield from _lines("usage.market", MARKET_KEYS, recount.market, evidence.market)
    yield "quarantined", "log", recount.quarantined, "usage.quarantine", list(evidence.quarantined)
    yield "previous_digest", "page before", evidence.previous_digest.hex(), "usage.pages", page["previous_digest"].hex()
    values = [[value for _, value in lines] for lines in (evidence.billing, evidence.market)]
    digest = page_digest(evidence.previous_digest, without_digest(evidence.page_value), *values)
    yield "digest", "lines", digest.hex(), "usage.pages", page["digest"].hex()
    yield from _stored(recount, evidence)


def _page_figures(recount: Recount) -> dict[str, Any]:
    return {
        "events_in": recount.events_in,
        "events": recount.events,
        "corrections": recount.corrections,
        "corrected_calls": recount.corrected_calls,
        "duplicates": recount.duplicates,
        "quarantined": len(recount.quarantined),
        "billing_lines": len(recount.billing),
        "market_lines": len(recount.market),
        **recount.quantities,
        "earliest_occurred_at": recount.earliest,
        "latest_occurred_at": recount.latest,
    }


def _lines(
    topic: str,
    keys: Sequence[str],
    expected: Mapping[tuple[Any, ...], dict[str, int]],
    found: Sequence[tuple[int, bytes]],
) -> Iterator[tuple[str, str, Any, str, Any]]:
    yield "lines", "log", list(range(len(expected))), topic, [number for number, _ in found]
    for (key, counts), (number, value) in zip(ordered(expected), found, strict=True):
        line = wire.decode(value).record
        for name, part in zip(keys, key, strict=True):
            yield f"line {number} {name}", "log", part, topic, line[name]
        for name, count in counts.items():
            yield f"line {number} {name}", "log", count, topic, line[name]


def _stored(recount: Recount, evidence: PageEvidence) -> Iterator[tuple[str, str, Any, str, Any]]:
    tables = {
        "usage_events": {"events": recount.stored_events, **recount.stored},
        "usage_billing": {"lines": len(recount.billing), "events": recount.calls, **recount.quantities},
        "usage_market": {"lines": len(recount.market), "events": recount.calls, **recount.quantities},
        "usage_pages": {"events": recount.events, **recount.quantities, "digest": evidence.page["digest"].hex()},
        "quarantine": {"events": len(recount.quarantined)},
    }
    for table, figures in tables.items():
        if table not in evidence.stored:
            continue
        stored = evidence.stored[table]
        for field, expected in figures.items():
            missing = "" if field == "digest" else 0
            yield field, "log", expected, f"ClickHouse {table}", stored.get(field, missing)
