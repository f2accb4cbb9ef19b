"""The audit of one partition of usage.events, page by page, against its topics and ClickHouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.audit import raw
from tokenmeter.audit.blocks import cut
from tokenmeter.audit.catalog import kept as kept_catalog
from tokenmeter.audit.columnar import ColumnarRecount
from tokenmeter.audit.compare import Counted, Difference, PageEvidence, compare
from tokenmeter.audit.elders import Stretch, elder_blocks, elder_records
from tokenmeter.audit.facts import Keys
from tokenmeter.audit.ledger.charged import Entries, facts, sums
from tokenmeter.audit.ledger.owed import Part, parts_with_budgets
from tokenmeter.audit.lines import same
from tokenmeter.audit.linestore import ENTRY, Segment, fetch
from tokenmeter.audit.rated import PageTotals
from tokenmeter.audit.recount import RECORDS, Recount, Rules
from tokenmeter.audit.reference import recount
from tokenmeter.audit.routes import MISROUTED, Route
from tokenmeter.audit.sequences import Recorder
from tokenmeter.audit.sources import KafkaTopics, stored
from tokenmeter.events import wire
from tokenmeter.events.contract import EVENTS
from tokenmeter.store.client import connect

Page = dict[str, Any]


@dataclass(frozen=True)
class AuditSources:
    """Where to look. ``client`` holds the Kafka clients' settings; ``horizon_ms`` must be the meter's.

    Without a ``clickhouse_url`` the topics alone are compared.
    """

    client: Mapping[str, Any]
    clickhouse_url: str | None
    clickhouse_user: str
    clickhouse_password: str
    horizon_ms: int


@dataclass(frozen=True)
class PartitionTask:
    """``pages`` are judged, in order (``page_values``: as they are on the topic); the log is read from ``start``, a
    horizon before them. ``segments`` has the lines of each page by record and first offset, ``quarantined`` what the
    topic says of the partition, ``catalog_path`` the catalog. Of pages closed before ``entries_since_ms``
    ledger.entries no longer has all."""

    partition: int
    pages: Sequence[Page]
    page_values: Mapping[int, bytes]
    previous_digest: bytes
    start: int
    keys: Keys
    segments: Mapping[str, Mapping[int, Sequence[Segment]]]
    quarantined: Sequence[tuple[int, str]]
    sequences_path: Path
    settled_ms: int
    catalog_path: Path
    entries_since_ms: int
    route: Route | None = None
    before: Sequence[Stretch] = ()
    """What the customers of this partition sent where they were before usage.events grew, within a horizon."""


@dataclass
class PartitionReport:
    """What was compared; ``difference`` is the first that was found, and nothing after it was looked at."""

    partition: int
    pages: int = 0
    events_in: int = 0
    events: int = 0
    duplicates: int = 0
    quarantined: int = 0
    misrouted: int = 0
    unpriced: int = 0
    charges: Counter[str] = field(default_factory=Counter)
    costs: Counter[str] = field(default_factory=Counter)
    difference: Difference | None = None
    sources: dict[int, str] = field(default_factory=dict)


def connected(sources: AuditSources) -> Client | None:
    """A client of ClickHouse, if that is asked."""
    url, user, password = sources.clickhouse_url, sources.clickhouse_user, sources.clickhouse_password
    return None if url is None else connect(url, user, password)


def audit_partition(sources: AuditSources, task: PartitionTask, advance: Callable[[int], None]) -> PartitionReport:
    """Recount and compare. ``advance`` is called with the records read since it was last called."""
    kafka = KafkaTopics(sources.client)
    client = connected(sources)
    pages = {page["first_offset"]: page for page in task.pages}
    bounds = [(page["first_offset"], page["last_offset"]) for page in task.pages]
    tables = stored(client, task.partition, list(pages), bounds[-1][1] + 1) if client and pages else {}
    report = PartitionReport(task.partition)
    previous = task.previous_digest
    unknown_then = {offset for offset, reason in task.quarantined if reason == "schema"}
    catalog = kept_catalog(task.catalog_path)
    rules = {
        first: Rules.of(page, wire.schema_of(task.page_values[first]).version, task.route)
        for first, page in pages.items()
    }
    counter = ColumnarRecount(task.keys, sources.horizon_ms, unknown_then, catalog, rules)
    report.sources = counter.sources
    budgeted: dict[int, set[Part]] = {}

    def named(page: Page) -> Recount:
        """The page by the reference, which knows the lines' names."""
        own = kafka.records(EVENTS, task.partition, task.start, page["last_offset"] + 1)
        records = chain(elder_records(kafka, task.before), own)
        asked = [(page["first_offset"], page["last_offset"])]
        return next(recount(records, asked, sources.horizon_ms, unknown_then, catalog.charges, rules))

    def parts(x: int) -> set[Part]:
        if x not in budgeted:
            budgeted[x] = parts_with_budgets(catalog.rows, x)
        return budgeted[x]

    def judge(totals: PageTotals) -> Difference | None:
        page = pages[totals.recount.first_offset]
        first = page["first_offset"]
        lines = {record: fetch(task.segments[record].get(first, ())) for record in RECORDS}
        if totals.exact:
            place = (task.partition, first)
            counted = Counted(
                totals.recount,
                totals.rules,
                {record: len(found) for record, found in totals.lines.items()},
                lambda record: totals.lines[record].sums(),
                {record: same(found, place, lines[record], task.keys) for record, found in totals.lines.items()},
                lambda: named(page),
            )
        else:
            totals.recount = named(page)
            counted = Counted.by_reference(totals.recount, totals.rules)
        kept = [one for one in task.quarantined if first <= one[0] <= page["last_offset"]]
        in_store = {table: rows.get(first, {}) for table, rows in tables.items()}
        evidence = PageEvidence(page, task.page_values[first], previous, lines, kept, in_store)
        if page["closed_at"].timestamp() * 1_000 >= task.entries_since_ms:
            entries = Entries(page, fetch(task.segments[ENTRY].get(first, ())))
            billing, resale = lines["billing_line"], lines["resale_line"]
            known = parts(totals.rules.catalog_offset)
            evidence = replace(
                evidence,
                entries=lambda: facts(entries, billing, resale, known, task.keys.first),
                entry_sums=(lambda: sums(entries)) if client is not None else None,
            )
        found = compare(counted, evidence)
        if found is None and client is not None and not raw.agree(totals.recount, in_store["usage_events"]):
            records = kafka.records(EVENTS, task.partition, first, page["last_offset"] + 1)
            found = raw.explain(task.partition, page, records, client, unknown_then, totals.rules.route)
        return found

    with task.sequences_path.open("wb") as out:
        recorder = Recorder(out, task.settled_ms)
        before = task.start < bounds[0][0] if bounds else False
        for elder in elder_blocks(kafka, task.before):  # nothing of it is in a page of this partition
            for _ in counter.count(elder):
                pass
        for block in cut(kafka.read(EVENTS, task.partition, task.start), bounds):
            before = before and not block.pages
            for totals in counter.count(block):
                report.difference = judge(totals)
                if report.difference is not None:
                    return report
                previous = pages[totals.recount.first_offset]["digest"]
                report.pages += 1
                report.events_in += totals.recount.events_in
                report.events += totals.recount.events
                report.duplicates += totals.recount.duplicates
                report.quarantined += len(totals.recount.quarantined)
                report.misrouted += sum(reason == MISROUTED for _, reason in totals.recount.quarantined)
                report.unpriced += totals.recount.unpriced
                report.charges.update(totals.recount.charges)
                report.costs.update(totals.recount.costs)
            if counter.arrived is not None:
                recorder.add(counter.arrived, block.appended_at_ms, before)
            advance(len(block))
    return report
