"""What an audit found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenmeter.audit.compare import Difference
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.sequences import Sequences, described
from tokenmeter.audit.waiting import Waiting
from tokenmeter.events.rating import amount

REPORT_VERSION = 1
"""Raised when a key of the JSON report changes its meaning or goes; new keys may come at any time."""
SOURCES_SHOWN = 20
FOREIGN_SHOWN = 20


@dataclass(frozen=True)
class Lost:
    """Offsets that retention removed before the meter read them."""

    page: str
    offsets: int


_FIGURES = ("pages", "events_in", "events", "duplicates", "quarantined", "misrouted", "unpriced")


@dataclass
class AuditReport:
    """What was compared. ``differences`` has the first one of each partition that has any, by partition."""

    pages: int = 0
    events_in: int = 0
    events: int = 0
    duplicates: int = 0
    quarantined: int = 0
    misrouted: int = 0
    """Of the quarantined: on a partition that is not their customer's, whether sent again since or not."""
    unpriced: int = 0
    accounts: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    """What customers owe, and what upstreams charge: pico-units by currency."""
    places: list[str] = field(default_factory=list)
    """What was compared with the log."""
    lost: list[Lost] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    """What was acknowledged before the audit began and is in no page at its end."""
    foreign: list[Foreign] = field(default_factory=list)
    """Records on our topics that are none of ours."""
    differences: list[Difference] = field(default_factory=list)
    sequences: Sequences = field(default_factory=Sequences)
    notes: list[str] = field(default_factory=list)
    source_names: dict[int, str] = field(default_factory=dict)
    """Of every source seen, by this run's hash of it."""
    seconds: float = 0.0

    @property
    def difference(self) -> Difference | None:
        """The first one."""
        return self.differences[0] if self.differences else None

    @property
    def lost_offsets(self) -> int:
        return sum(lost.offsets for lost in self.lost)

    @property
    def ok(self) -> bool:
        """Nothing differs and nothing was lost unread."""
        return not self.differences and not self.lost

    def passes(self, strict: bool) -> bool:
        """``ok``, and with ``strict`` no event was lost before Kafka and none waits to be metered."""
        return self.ok and not (strict and (self.sequences.gaps or self.waiting))

    def as_dict(self) -> dict[str, Any]:
        """The JSON report:

        version       REPORT_VERSION
        ok            whether nothing differs and nothing was lost unread
        places        what was compared with the log: topics, and ClickHouse
        pages, events_in, events, duplicates, quarantined    what was compared; events_in = the sum of the other three
        misrouted     of the quarantined, those on a partition that is not their customer's
        unpriced      of the events, those without a charge
        accounts      booked again from ledger.entries and compared with account.state
        charges, costs    {currency: amount as text}, recounted by the catalog offset that each page names
        lost          {"offsets": n, "pages": [{"page", "offsets"}]}: removed by retention before they were read
        waiting       [{"partition", "offset", "events"}]: acknowledged before the audit began, metered not even now
        foreign       [{"topic", "partition", "offset", "record", "reason"}]: on our topics and none of ours
        difference    the first difference or null; differences: the first of each partition. Each has page, field,
                      expected_place, expected, place, found and text (the sentence)
        sequences     {"sources", "missing", "skipped", "gaps": [{"source", "missing", "seen", "ranges": [[a, b]]}]}:
                      events lost before Kafka, the first ranges of each source; skipped says why none were judged
        notes         what could not be judged, as text
        seconds       how long it took
        """
        differences = [difference.as_dict() for difference in self.differences]
        return {
            "version": REPORT_VERSION,
            "ok": self.ok,
            "places": list(self.places),
            **{n: getattr(self, n) for n in _FIGURES},
            "accounts": self.accounts,
            "charges": {currency: f"{amount(pico):f}" for currency, pico in sorted(self.charges.items())},
            "costs": {currency: f"{amount(pico):f}" for currency, pico in sorted(self.costs.items())},
            "lost": {"offsets": self.lost_offsets, "pages": [vars(lost) for lost in self.lost]},
            "waiting": [vars(one) for one in self.waiting],
            "foreign": [one.as_dict() for one in self.foreign],
            "difference": differences[0] if differences else None,
            "differences": differences,
            "sequences": {
                "sources": self.sequences.sources,
                "missing": self.sequences.missing,
                "skipped": self.sequences.skipped,
                "gaps": [gap.as_dict() for gap in self.sequences.gaps],
            },
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterator[str]:
        """The report as text."""
        for note in self.notes:
            yield f"note: {note}"
        for lost in self.lost:
            yield f"LOST: {lost.page}: retention removed {lost.offsets} offsets before the meter read them"
        for one in self.waiting:
            yield f"NOT METERED: {one}"
        if self.misrouted:
            yield (
                f"MISROUTED: {self.misrouted} events on a partition that is not their customer's are quarantined: a "
                "producer has another partitioner (next: tokenmeter quarantine retry --reason misrouted --apply)"
            )
        for stranger in self.foreign[:FOREIGN_SHOWN]:
            yield f"FOREIGN: {stranger}; nothing is made of it (next: tokenmeter quarantine foreign)"
        if len(self.foreign) > FOREIGN_SHOWN:
            yield f"FOREIGN: and {len(self.foreign) - FOREIGN_SHOWN} records more (--json has them all)"
        if self.sequences.gaps:
            number = len(self.sequences.gaps)
            yield f"warning: {self.sequences.missing} events of {number} sources were lost before Kafka by number:"
            shown = list(described(self.sequences))
            yield from (f"  {line}" for line in shown[:SOURCES_SHOWN])
            if number > SOURCES_SHOWN:
                yield f"  and {number - SOURCES_SHOWN} sources more (--json has them all)"
        elif self.sequences.skipped:
            yield f"note: {self.sequences.skipped}"
        yield from (f"DIFFERENT: {difference}" for difference in self.differences)
        figures = (
            f"{self.events_in} records = {self.events} events + {self.duplicates} duplicates + "
            f"{self.quarantined} quarantined"
        )
        if self.differences:
            yield f"{self.pages} pages agreed before the first difference of each partition: {figures}"
        else:
            yield f"{self.pages} pages agree: {figures}; log = {' = '.join(self.places)} ({self.seconds:.1f} s)"
        if self.accounts:
            yield f"{self.accounts} account states = their entries, booked again"
        yield f"charged {_money(self.charges)}; cost {_money(self.costs)}; {self.unpriced} events unpriced"


def _money(by_currency: Mapping[str, int]) -> str:
    """Amounts, each in its currency: they are never added up."""
    return " and ".join(f"{amount(pico):f} {currency}" for currency, pico in sorted(by_currency.items())) or "nothing"
