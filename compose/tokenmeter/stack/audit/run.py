"""Runs the audit over every partition: reads, waits until ClickHouse holds what the topics hold, compares."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.events import wire
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES, QUARANTINE, RELEASED
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.lines import FIRST_DIGEST
from tokenmeter.stack.audit.compare import Difference, PageEvidence, compare, name_of
from tokenmeter.stack.audit.recount import recount
from tokenmeter.stack.audit.sources import KafkaTopics, stored
from tokenmeter.store.client import connect

LINES_MAX = 5_000_000
"""Lines of one audit held in memory."""
LOADED_TIMEOUT_S = 60.0
LOAD_GROUP = "tokenmeter-load"

Key = tuple[int, int]
"""(partition, first offset) of a page."""


@dataclass(frozen=True)
class AuditSources:
    """Where to look. ``client`` holds the Kafka clients' settings; ``horizon_ms`` must be the meter's."""

    client: Mapping[str, Any]
    clickhouse_url: str
    clickhouse_user: str
    clickhouse_password: str
    horizon_ms: int


@dataclass
class AuditReport:
    """What was compared; ``difference`` is the first that was found."""

    pages: int = 0
    events_in: int = 0
    events: int = 0
    duplicates: int = 0
    quarantined: int = 0
    notes: list[str] = field(default_factory=list)
    difference: Difference | None = None

    @property
    def ok(self) -> bool:
        return self.difference is None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        figures = {n: getattr(self, n) for n in ("pages", "events_in", "events", "duplicates", "quarantined", "notes")}
        return {"ok": self.ok, **figures, "difference": None if self.ok else str(self.difference)}


@dataclass
class _Topics:
    """What the topics say, by page."""

    pages: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    page_values: dict[Key, bytes] = field(default_factory=dict)
    billing: dict[Key, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    market: dict[Key, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    quarantine: dict[int, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[tuple[str, int], int] = field(default_factory=dict)


def run(
    sources: AuditSources, partition: int | None = None, say: Callable[[str], None] = lambda s: None
) -> AuditReport:
    """Audit every partition of usage.events, or one. Stops at the first difference.

    Raises Misconfigured for a partition there is none of, Fatal when a place cannot be read or ClickHouse stays behind.
    """
    kafka = KafkaTopics(sources.client)
    clickhouse = connect(sources.clickhouse_url, sources.clickhouse_user, sources.clickhouse_password)
    partitions = kafka.partitions(EVENTS)
    if partition is not None and partition not in partitions:
        raise Misconfigured(f"{EVENTS} has no partition {partition}, only {partitions[0]} to {partitions[-1]}")
    wanted = partitions if partition is None else [partition]
    say("reading pages, lines and quarantine")
    topics = _read(kafka, set(wanted))
    report = AuditReport()
    _wait_loaded(kafka, topics)
    for number in wanted:
        say(f"recounting {EVENTS}/{number}")
        _audit(number, kafka, clickhouse, topics, sources.horizon_ms, report)
        if not report.ok:
            break
    return report


def _read(kafka: KafkaTopics, wanted: set[int]) -> _Topics:
    """Pages first: what is read after them holds at least their lines."""
    found, lines = _Topics(), 0
    for topic in (PAGES, BILLING, MARKET, QUARANTINE):
        for partition in kafka.partitions(topic):
            for entry in kafka.read(topic, partition):
                found.ends[topic, partition] = entry.offset
                record = wire.decode(entry.value).record
                if record["partition"] not in wanted:
                    continue
                lines += 1
                if lines > LINES_MAX:
                    raise Fatal(f"more than {LINES_MAX} lines to hold", hint="tokenmeter audit --partition 0")
                if topic == PAGES:
                    found.pages[partition].append(record)
                    found.page_values[partition, record["first_offset"]] = entry.value or b""
                elif topic == QUARANTINE:
                    if record["reason"] == RELEASED:
                        continue  # not of the meter: the event behind it is judged where it was sent again
                    found.quarantine[record["partition"]].append((record["offset"], record["reason"]))
                else:
                    by_page = found.billing if topic == BILLING else found.market
                    by_page[record["partition"], record["first_offset"]].append((record["line"], entry.value or b""))
    for by_page in (found.billing, found.market):
        for page_lines in by_page.values():
            page_lines.sort(key=lambda line: line[0])
    for offsets in found.quarantine.values():
        offsets.sort()
    return found


def _wait_loaded(kafka: KafkaTopics, topics: _Topics) -> None:
    """ClickHouse is judged by what the loader says it has stored."""
    ends = dict(topics.ends)
    for partition, pages in topics.pages.items():
        ends[EVENTS, partition] = pages[-1]["last_offset"]
    deadline = time.monotonic() + LOADED_TIMEOUT_S
    for (topic, partition), last in ends.items():
        while (at := kafka.committed(LOAD_GROUP, topic, partition)) <= last:
            if time.monotonic() > deadline:
                raise Fatal(
                    f"ClickHouse is behind: {topic}/{partition} is loaded to offset {at - 1}, the topic ends at {last}",
                    hint="tokenmeter status; then run the audit again",
                )
            time.sleep(0.2)


def _audit(
    partition: int, kafka: KafkaTopics, clickhouse: Client, topics: _Topics, horizon_ms: int, report: AuditReport
) -> None:
    pages = topics.pages[partition]
    if not pages:
        report.notes.append(f"{EVENTS}/{partition}: no page yet")
        return
    report.difference = _hole(pages) or _stray(partition, pages, topics)
    if not report.ok:
        return
    whole = kafka.log_start(EVENTS, partition) == 0
    if not whole:
        judged_from = kafka.judged_from(EVENTS, partition, horizon_ms)
        left_out = sum(page["first_offset"] < judged_from for page in pages)
        pages = pages[left_out:]
        report.notes.append(
            f"{EVENTS}/{partition}: retention removed the beginning; {left_out} pages before offset {judged_from} and "
            "ClickHouse's raw rows cannot be judged"
        )
        if not pages:
            return
    firsts = [page["first_offset"] for page in pages]
    in_store = stored(clickhouse, partition, firsts, pages[-1]["last_offset"] + 1)
    if not whole:
        del in_store["usage_events"]  # whether a row was the first of its identity is no longer known
    bounds = [(page["first_offset"], page["last_offset"]) for page in pages]
    previous = FIRST_DIGEST if firsts[0] == 0 else pages[0]["previous_digest"]
    unknown_then = {offset for offset, reason in topics.quarantine[partition] if reason == "schema"}
    counts = recount(kafka.read(EVENTS, partition), bounds, horizon_ms, unknown_then)
    for page, counted in zip(pages, counts, strict=True):
        key = (partition, page["first_offset"])
        evidence = PageEvidence(
            page,
            topics.page_values[key],
            previous,
            topics.billing.get(key, []),
            topics.market.get(key, []),
            [q for q in topics.quarantine[partition] if page["first_offset"] <= q[0] <= page["last_offset"]],
            {table: rows.get(page["first_offset"], {}) for table, rows in in_store.items()},
        )
        report.difference = compare(counted, evidence)
        if not report.ok:
            return
        previous = page["digest"]
        report.pages += 1
        report.events_in += counted.events_in
        report.events += counted.events
        report.duplicates += counted.duplicates
        report.quarantined += len(counted.quarantined)
        if page["lost"]:
            report.notes.append(
                f"{name_of(*key, page['last_offset'])}: retention removed {page['lost']} unread offsets"
            )


def _hole(pages: list[dict[str, Any]]) -> Difference | None:
    """Pages follow each other without a gap or an overlap."""
    for before, page in pairwise(pages):
        if page["first_offset"] != before["last_offset"] + 1:
            name = name_of(page["partition"], page["first_offset"], page["last_offset"])
            expected = before["last_offset"] + 1
            return Difference(name, "first_offset", "page before", expected, "usage.pages", page["first_offset"])
    return None


def _stray(partition: int, pages: list[dict[str, Any]], topics: _Topics) -> Difference | None:
    """Lines of a page that there is none of; younger pages may have come since the pages were read."""
    known = {page["first_offset"] for page in pages}
    for topic, by_page in ((BILLING, topics.billing), (MARKET, topics.market)):
        for owner, first in by_page:
            if owner == partition and first not in known and first <= pages[-1]["last_offset"]:
                name = name_of(partition, first, first)
                return Difference(name, "lines", "usage.pages", "no such page", topic, len(by_page[owner, first]))
    return None
