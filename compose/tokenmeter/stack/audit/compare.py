"""Compares one page's recount with what the other places say of it. Pure; the first difference is the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.contract import BILLING, MARKET
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.lines import page_digest, without_digest
from tokenmeter.stack.audit.recount import BILLING_LINES, MARKET_LINES, Counts, Key, LineKind, Recount, ordered

TOPICS: Mapping[LineKind, str] = {BILLING_LINES: BILLING, MARKET_LINES: MARKET}


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

    def as_dict(self) -> dict[str, Any]:
        """For the report; figures as they are, everything else as text."""
        shown = {k: v if isinstance(v, int | str) or v is None else str(v) for k, v in vars(self).items()}
        return {**shown, "text": str(self)}


@dataclass(frozen=True)
class FoundLine:
    """One line on its topic: its number in the page, its wire value, and where it lies."""

    number: int
    value: bytes
    topic_partition: int
    offset: int


Lines = Mapping[LineKind, Sequence[FoundLine]]
Fact = tuple[str, str, Any, str, Any]


@dataclass(frozen=True)
class PageEvidence:
    """What the topics and ClickHouse hold of one page. Lines are in the order of their numbers."""

    page: dict[str, Any]
    page_value: bytes
    previous_digest: bytes
    lines: Lines
    quarantined: Sequence[tuple[int, str]]
    stored: Mapping[str, Mapping[str, Any]]
    """By table (usage_billing, usage_market, usage_pages, quarantine): the page's sums. A table not asked is absent."""


@dataclass(frozen=True)
class Counted:
    """A page's recount: ``lines`` says how many there are of a kind, ``same`` whether they are known to be those of
    the topic, and ``named`` fetches them by name when they are not."""

    recount: Recount
    lines: Mapping[LineKind, int]
    same: Mapping[LineKind, bool]
    named: Callable[[], Recount]


def name_of(partition: int, first: int, last: int) -> str:
    """How a page is called."""
    return f"page {partition}@[{first},{last}]"


def compare(counted: Counted, evidence: PageEvidence) -> Difference | None:
    """The first difference, looked for from the log outwards, or None."""
    page = evidence.page
    name = name_of(page["partition"], page["first_offset"], page["last_offset"])
    for field, expected_place, expected, place, found in _facts(counted, evidence):
        if expected != found:
            return Difference(name, field, expected_place, expected, place, found)
    return None


def _facts(counted: Counted, evidence: PageEvidence) -> Iterator[Fact]:
    page, recount = evidence.page, counted.recount
    for field, value in _page_figures(counted).items():
        yield field, "log", value, "usage.pages", page[field]
    for kind, topic in TOPICS.items():
        yield from _numbers(topic, counted.lines[kind], evidence.lines[kind])
        if not counted.same[kind]:
            yield from _contents(kind, topic, counted.named(), evidence)
    yield "quarantined", "log", recount.quarantined, "usage.quarantine", list(evidence.quarantined)
    yield "previous_digest", "page before", evidence.previous_digest.hex(), "usage.pages", page["previous_digest"].hex()
    values = ([line.value for line in evidence.lines[kind]] for kind in TOPICS)
    digest = page_digest(evidence.previous_digest, without_digest(evidence.page_value), *values)
    yield "digest", "lines", digest.hex(), "usage.pages", page["digest"].hex()
    yield from _stored(counted, evidence)


def _page_figures(counted: Counted) -> dict[str, Any]:
    recount = counted.recount
    return {
        "events_in": recount.events_in,
        "events": recount.events,
        "corrections": recount.corrections,
        "corrected_calls": recount.corrected_calls,
        "duplicates": recount.duplicates,
        "quarantined": len(recount.quarantined),
        "billing_lines": counted.lines[BILLING_LINES],
        "market_lines": counted.lines[MARKET_LINES],
        **recount.quantities,
        "earliest_occurred_at": recount.earliest,
        "latest_occurred_at": recount.latest,
    }


def _numbers(topic: str, expected: int, found: Sequence[FoundLine]) -> Iterator[Fact]:
    """Each line is there once, and on each partition of the topic they stand in their order."""
    numbers = [line.number for line in found]
    if numbers != list(range(expected)):
        times = Counter(numbers)
        for number in sorted({*range(expected), *times}):
            yield f"line {number}", "log", f"{int(number < expected)} times", topic, f"{times[number]} times"
    by_partition: dict[int, list[FoundLine]] = {}
    for line in sorted(found, key=lambda line: line.offset):
        by_partition.setdefault(line.topic_partition, []).append(line)
    for lines in by_partition.values():
        for before, line in pairwise(lines):
            if before.number > line.number:
                yield f"line {before.number} order", topic, f"after line {line.number}", topic, "before it"


def _contents(kind: LineKind, topic: str, named: Recount, evidence: PageEvidence) -> Iterator[Fact]:
    lines: dict[Key, Counts] = (named.billing if kind is BILLING_LINES else named.market) or {}
    page = evidence.page
    for line, (key, counts) in zip(evidence.lines[kind], ordered(lines), strict=True):
        try:
            found = wire.decode(line.value, expect=kind.record).record
        except Poison as poison:
            yield f"line {line.number}", "log", f"a {kind.record}", topic, poison.reason
            continue
        place = {"partition": page["partition"], "first_offset": page["first_offset"], "line": line.number}
        expected = {**place, **dict(zip(kind.keys, key, strict=True)), **counts}
        for name, value in expected.items():
            yield f"line {line.number} {name}", "log", value, topic, found[name]
        yield (
            f"line {line.number} bytes",
            "log",
            wire.encode(kind.record, {**found, **expected}).hex(),
            topic,
            line.value.hex(),
        )
    name = name_of(page["partition"], page["first_offset"], page["last_offset"])
    raise Fatal(
        f"{name}: the columnar recount and the record-by-record one disagree about the lines of {topic}",
        hint="this is a fault of the audit: please report it",
    )


def _stored(counted: Counted, evidence: PageEvidence) -> Iterator[Fact]:
    recount = counted.recount
    sums = {"events": recount.calls, **recount.quantities}
    tables = {
        "usage_billing": {"lines": counted.lines[BILLING_LINES], **sums},
        "usage_market": {"lines": counted.lines[MARKET_LINES], **sums},
        "usage_pages": {**sums, "events": recount.events, "digest": evidence.page["digest"].hex()},
        "quarantine": {"events": len(recount.quarantined)},
    }
    for table, figures in tables.items():
        if table not in evidence.stored:
            continue
        stored = evidence.stored[table]
        for field, expected in figures.items():
            missing = "" if field == "digest" else 0
            yield field, "log", expected, f"ClickHouse {table}", stored.get(field, missing)
