"""Compares one page's recount with what the other places say of it. Pure; the first difference is the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tokenmeter.audit.found import FoundLine, FoundLines
from tokenmeter.audit.recount import (
    AMOUNTS,
    KINDS,
    RECORDS,
    LineKind,
    Recount,
    Rules,
    decimal,
    ordered,
    single,
    sums,
)
from tokenmeter.events import wire
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.lines import page_digest, without_digest


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


Lines = Mapping[str, FoundLines]
"""By record."""
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
    """By table (usage_billing, usage_market, usage_resale, usage_pages, quarantine, ledger_entries): the page's sums. A
    table not asked is absent."""
    entries: Callable[[], Iterator[Fact]] = lambda: iter(())
    """What is to be compared of the page's CHARGE entries."""
    entry_sums: Callable[[], Mapping[str, Any]] | None = None
    """What they add up to on their topic, for ClickHouse; None: it is not asked."""


@dataclass(frozen=True)
class Counted:
    """A page's recount by ``rules``: ``lines`` says how many there are of a record, ``sums`` what they add up to,
    ``same`` whether they are known to be those of the topic, and ``named`` fetches them by name when they are not.
    ``exact`` unless the columns could not hold the page: then all is the reference's word."""

    recount: Recount
    rules: Rules
    lines: Mapping[str, int]
    sums: Callable[[str], Mapping[str, int]]
    same: Mapping[str, bool]
    named: Callable[[], Recount]
    exact: bool = True

    @staticmethod
    def by_reference(recount: Recount, rules: Rules) -> Counted:
        """All that the record-by-record recount says of a page."""
        lines = recount.lines or {}
        counts = {kind.record: len(lines[kind.record]) for kind in rules.kinds}
        same = dict.fromkeys(counts, False)
        return Counted(recount, rules, counts, lambda record: sums(lines[record]), same, lambda: recount, exact=False)


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
    for record, topic in RECORDS.items():
        yield from _numbers(topic, counted.lines.get(record, 0), evidence.lines[record])
    for kind in counted.rules.kinds:
        if not counted.same[kind.record]:
            yield from _contents(kind, counted, evidence)
    yield "quarantined", "log", recount.quarantined, "usage.quarantine", list(evidence.quarantined)
    yield "previous_digest", "page before", evidence.previous_digest.hex(), "usage.pages", page["previous_digest"].hex()
    values = (evidence.lines[record].values for record in RECORDS)
    digest = page_digest(evidence.previous_digest, without_digest(evidence.page_value), *values)
    yield "digest", "lines", digest.hex(), "usage.pages", page["digest"].hex()
    yield from evidence.entries()
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
        **{f"{record.removesuffix('_line')}_lines": counted.lines.get(record, 0) for record in RECORDS},
        **recount.quantities,
        **_money(counted),
        "earliest_occurred_at": recount.earliest,
        "latest_occurred_at": recount.latest,
    }


def _money(counted: Counted) -> dict[str, Any]:
    """Charge and cost, each with its currency. Pages that were not rated say nothing of what is unpriced."""
    (charge, currency), (cost, cost_currency) = single(counted.recount.charges), single(counted.recount.costs)
    money = {"charge": charge, "currency": currency, "cost": cost, "cost_currency": cost_currency}
    return {"unpriced": counted.recount.unpriced, **money} if counted.rules.kinds == KINDS else money


def _numbers(topic: str, expected: int, found: FoundLines) -> Iterator[Fact]:
    """Each line is there once, and on each partition of the topic they stand in their order."""
    if not np.array_equal(found.numbers, np.arange(expected)):
        times = Counter(found.numbers.tolist())
        for number in sorted({*range(expected), *times}):
            yield f"line {number}", "log", f"{int(number < expected)} times", topic, f"{times[number]} times"
    in_place = np.lexsort((found.offsets, found.topic_partitions))
    falls, stays = np.diff(found.numbers[in_place]) < 0, np.diff(found.topic_partitions[in_place]) == 0
    if not (falls & stays).any():
        return
    by_partition: dict[int, list[FoundLine]] = {}
    for line in sorted(found, key=lambda line: line.offset):
        by_partition.setdefault(line.topic_partition, []).append(line)
    for lines in by_partition.values():
        for before, line in pairwise(lines):
            if before.number > line.number:
                yield f"line {before.number} order", topic, f"after line {line.number}", topic, "before it"


def _contents(kind: LineKind, counted: Counted, evidence: PageEvidence) -> Iterator[Fact]:
    lines = (counted.named().lines or {})[kind.record]
    page, topic = evidence.page, kind.topic
    for line, (key, figures) in zip(evidence.lines[kind.record], ordered(lines), strict=True):
        try:
            found = wire.decode(line.value, expect=kind.record).record
        except Poison as poison:
            yield f"line {line.number}", "log", f"a {kind.record}", topic, poison.reason
            continue
        place = {"partition": page["partition"], "first_offset": page["first_offset"], "line": line.number}
        expected = {**place, **kind.fields(key, figures)}
        for name, value in expected.items():
            yield f"line {line.number} {name}", "log", value, topic, found[name]
        written = wire.encode_as(kind.schema, expected)
        yield f"line {line.number} bytes", "log", written.hex(), topic, line.value.hex()
    if counted.exact:
        name = name_of(page["partition"], page["first_offset"], page["last_offset"])
        raise Fatal(
            f"{name}: the columnar recount and the record-by-record one disagree about the lines of {topic}",
            hint="this is a fault of the audit: please report it",
        )


def _stored(counted: Counted, evidence: PageEvidence) -> Iterator[Fact]:
    recount, page = counted.recount, evidence.page
    for kind in counted.rules.kinds:
        yield from _in_table(evidence, kind.topic.replace(".", "_"), _table_figures(counted, kind))
    totals = {**recount.quantities, **_money(counted)}
    whole = {"resale_lines": counted.lines.get("resale_line", 0), "catalog_offset": counted.rules.catalog_offset}
    pages = {**totals, **whole, "events": recount.events, "digest": page["digest"].hex()}
    yield from _in_table(evidence, "usage_pages", pages)
    yield from _in_table(evidence, "quarantine", {"events": len(recount.quarantined)})
    if evidence.entry_sums is not None:
        yield from _in_table(evidence, "ledger_entries", evidence.entry_sums())


def _table_figures(counted: Counted, kind: LineKind) -> dict[str, Any]:
    amounts = {name: decimal(name, number) for name, number in counted.sums(kind.record).items() if name in AMOUNTS}
    return {"lines": counted.lines[kind.record], **counted.sums(kind.record), **amounts}


def _in_table(evidence: PageEvidence, table: str, figures: Mapping[str, Any]) -> Iterator[Fact]:
    if table in evidence.stored:
        stored = evidence.stored[table]
        for field, expected in figures.items():
            missing = None if expected is None else "" if isinstance(expected, str) else 0
            yield field, "log", expected, f"ClickHouse {table}", stored.get(field, missing)
