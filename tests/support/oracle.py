"""What must be true of a metered log, recounted by the slowest obvious means and compared id by id.

Every event has a customer of its own, so the billing lines name the set of metered events: lost and doubled ones are
told apart, and no two errors can cancel each other.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from support import owed
from support.broker import Record, read_all
from support.events import event
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES, QUANTITY_FIELDS, QUARANTINE, RESALE
from tokenmeter.events.lines import FIRST_DIGEST, page_digest, without_digest

REPEATED_SHARE = 0.1


def made(first: int, count: int) -> list[UsageEvent]:
    """``count`` events, each with a customer of its own."""
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    return [event(n, customer_id=f"customer-{n:06d}", occurred_at=ended) for n in range(first, first + count)]


def send(bootstrap: str, events: Sequence[UsageEvent]) -> int:
    """Send them all, and a tenth of them twice; returns how many were sent again."""
    again = random.Random(len(events)).sample(list(events), int(len(events) * REPEATED_SHARE))
    with Emitter(bootstrap, source="oracle") as emitter:
        for one in [*events, *again]:
            emitter.emit(one)
    return len(again)


class Load:
    """Events in waves, remembered."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.sent: list[UsageEvent] = []
        self.repeated = 0

    def wave(self, count: int = 500) -> int:
        """Send ``count`` more, a tenth of them twice."""
        events = made(len(self.sent), count)
        self.sent += events
        self.repeated += send(self._bootstrap, events)
        return count

    def problems(self) -> list[str]:
        """See the function."""
        return problems(self._bootstrap, self.sent, self.repeated)


@dataclass(frozen=True)
class Verdict:
    """Ids that were lost, doubled or never sent, and whatever else is not as it must be, in words."""

    lost: frozenset[str] = frozenset()
    doubled: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    wrong: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """All of it in words; empty when every figure is exact."""
        named = {"lost": self.lost, "doubled": self.doubled, "never sent": self.strangers}
        ids = [f"{name}: {len(ids)} events, e.g. {min(ids)}" for name, ids in named.items() if ids]
        return [*ids, *self.wrong]

    def __or__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.lost | other.lost,
            self.doubled | other.doubled,
            self.strangers | other.strangers,
            (*self.wrong, *other.wrong),
        )


def by_ids(expected: Iterable[str], counted: Mapping[str, int]) -> Verdict:
    """Compare the ids that must be there once with how often each was found."""
    wanted = frozenset(expected)
    doubled = frozenset(one for one, times in counted.items() if times > 1)
    return Verdict(wanted - counted.keys(), doubled, frozenset(counted) - wanted)


def problems(bootstrap: str, sent: Iterable[UsageEvent], repeated: int) -> list[str]:
    """What is wrong with lines, pages and quarantine, given what was sent; empty when every figure is exact."""
    return metered(bootstrap, sent, repeated).problems()


def metered(bootstrap: str, sent: Iterable[UsageEvent], repeated: int) -> Verdict:
    """Lines, pages and quarantine held against what was sent."""
    events = list(sent)
    expected = {one.customer_id: one.to_record() for one in events}
    billing = [decode(record.value).record for record in read_all(bootstrap, BILLING)]
    market = [decode(record.value).record for record in read_all(bootstrap, MARKET)]
    pages = [decode(record.value).record for record in read_all(bootstrap, PAGES)]
    found = [*_sums(expected, billing, market, pages), *_chain(bootstrap), *owed.problems(bootstrap, events)]
    if repeated != sum(page["duplicates"] for page in pages):
        found.append(f"duplicates: {repeated} sent, {sum(page['duplicates'] for page in pages)} counted")
    if quarantined := read_all(bootstrap, QUARANTINE):
        found.append(f"quarantined: {len(quarantined)}")
    return by_ids(expected, _by_customer(billing)) | Verdict(wrong=tuple(found))


def counted(bootstrap: str) -> Counter[str]:
    """Events by customer on usage.billing."""
    return _by_customer(decode(record.value).record for record in read_all(bootstrap, BILLING))


def _by_customer(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        found[line["customer_id"]] += line["events"]
    return found


def _sums(
    expected: dict[str, Any], billing: list[dict[str, Any]], market: list[dict[str, Any]], pages: list[dict[str, Any]]
) -> list[str]:
    found = []
    for field in QUANTITY_FIELDS:
        wanted = sum(record[field] or 0 for record in expected.values())
        for name, rows in (("billing", billing), ("market", market), ("pages", pages)):
            total = sum(row[field] for row in rows)
            if total != wanted:
                found.append(f"{name}.{field}: {total}, sent {wanted}")
    for name, rows in (("billing", billing), ("market", market), ("pages", pages)):
        total = sum(row["events"] for row in rows)
        if total != len(expected):
            found.append(f"{name}.events: {total}, sent {len(expected)}")
    return found


def _chain(bootstrap: str) -> list[str]:
    """Pages are contiguous from the log's first offset to its last, and each digest seals its lines."""
    ends: Counter[int] = Counter()
    for record in read_all(bootstrap, EVENTS):
        ends[record.partition] = record.offset + 1
    lines: dict[tuple[str, int, int], list[tuple[int, bytes]]] = defaultdict(list)
    for topic in (BILLING, MARKET, RESALE):
        for record in read_all(bootstrap, topic):
            line = decode(record.value).record
            lines[topic, line["partition"], line["first_offset"]].append((line["line"], record.value))
    by_partition: dict[int, list[Record]] = defaultdict(list)
    for record in read_all(bootstrap, PAGES):
        by_partition[record.partition].append(record)
    found = []
    for partition, records in by_partition.items():
        position, previous = 0, FIRST_DIGEST
        for record in records:
            page = decode(record.value).record
            name = f"page {partition}@[{page['first_offset']},{page['last_offset']}]"
            if page["first_offset"] != position:
                found.append(f"{name}: the page before ended at {position - 1}")
            values = [
                [value for _, value in sorted(lines[topic, partition, page["first_offset"]])]
                for topic in (BILLING, MARKET, RESALE)
            ]
            if page["previous_digest"] != previous:
                found.append(f"{name}: does not follow the digest of the page before")
            if page_digest(previous, without_digest(record.value), *values) != page["digest"]:
                found.append(f"{name}: its digest does not seal its lines")
            position, previous = page["last_offset"] + 1, page["digest"]
        if position != ends[partition]:
            found.append(f"partition {partition}: metered to {position}, the log ends at {ends[partition]}")
    return found
