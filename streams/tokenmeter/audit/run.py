"""Runs the audit: reads what is small, waits until ClickHouse holds what the topics hold, shares the rest out."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tokenmeter.audit import catalog, chain, sequences
from tokenmeter.audit.compare import Difference, name_of
from tokenmeter.audit.elders import Stretch, stretches
from tokenmeter.audit.facts import Keys
from tokenmeter.audit.foreign import put_aside
from tokenmeter.audit.ledger.shares import since, tasks_of
from tokenmeter.audit.ledger.states import StatesTask
from tokenmeter.audit.linestore import KEPT, Kept
from tokenmeter.audit.partition import AuditSources, PartitionReport, PartitionTask
from tokenmeter.audit.report import AuditReport, Lost
from tokenmeter.audit.routes import Route
from tokenmeter.audit.small import Small, read_small
from tokenmeter.audit.sources import KafkaTopics, wait_loaded
from tokenmeter.audit.waiting import METERED_WAIT_S, waiting
from tokenmeter.audit.worker import LinesTask, Workers
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, CATALOG, EVENTS, PAGES, QUARANTINE
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.growth import eras
from tokenmeter.events.lines import FIRST_DIGEST
from tokenmeter.store.client import connect

CLOCKS_MS = 300_000
"""Lines are stamped by the clock that closed their page, give or take this much."""

Progress = Callable[[str, int, int], None]
"""(what is being done, records done, records in all or 0 when unknown)."""


@dataclass(frozen=True)
class AuditOptions:
    """What to audit: ``partitions`` of usage.events (None: all), pages closed ``since`` then (None: all)."""

    partitions: Sequence[int] | None = None
    since: datetime | None = None
    settle_ms: int = sequences.SETTLE_MS
    metered_wait_s: float = METERED_WAIT_S
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True)
class _Plan:
    """What is judged of one partition, and from where the log is read for it."""

    pages: Sequence[dict[str, Any]]
    previous_digest: bytes
    start: int
    difference: Difference | None = None
    before: Sequence[Stretch] = ()


def run(
    sources: AuditSources, options: AuditOptions | None = None, progress: Progress = lambda what, done, total: None
) -> AuditReport:
    """Audit. Each partition is left at its first difference.

    Raises Misconfigured for a partition there is none of, Fatal when a place cannot be read or ClickHouse stays behind.
    """
    options = options or AuditOptions()
    began, kafka, report = time.monotonic(), KafkaTopics(sources.client), AuditReport()
    partitions = kafka.partitions(EVENTS)
    wanted = sorted(set(options.partitions)) if options.partitions else partitions
    for number in wanted:
        if number not in partitions:
            raise Misconfigured(f"{EVENTS} has no partition {number}, only {partitions[0]} to {partitions[-1]}")
    with (
        tempfile.TemporaryDirectory(prefix="tokenmeter-audit-") as name,
        Workers(sources, options.processes) as workers,
    ):
        progress("pages and quarantine", 0, 0)
        small = read_small(kafka, wanted)
        report.foreign += small.foreign
        ends = {number: kafka.log_end(EVENTS, number) for number in wanted}
        plans = {number: _plan(kafka, number, small, sources.horizon_ms, options.since, report) for number in wanted}
        report.differences += [plan.difference for plan in plans.values() if plan.difference is not None]
        folder = Path(name)
        catalog.keep(small.catalog, folder / CATALOG)
        kept = _read_lines(kafka, workers, options, folder, progress)
        report.foreign += kept.foreign
        small.ends |= kept.ends
        report.places = [PAGES, *KEPT.values(), QUARANTINE]
        if sources.clickhouse_url is None:
            report.notes.append("ClickHouse was not compared")
        else:
            report.places.append("ClickHouse")
            wait_loaded(kafka, _loaded_to(small))
            store = connect(sources.clickhouse_url, sources.clickhouse_user, sources.clickhouse_password)
            report.foreign += put_aside(store, ALERTS, "alert")
        entries_since_ms, whole = since(kafka, kept, report.notes)
        tasks = [
            _task(number, plans[number], small, kept, folder, options, entries_since_ms, len(partitions))
            for number in wanted
        ]
        judged = [task for task, plan in zip(tasks, plans.values(), strict=True) if plan.difference is None]
        strays = [_stray(task.partition, small, plans[task.partition], kept) for task in judged]
        report.differences += [stray for stray in strays if stray is not None]
        total = sum(max(0, kafka.log_end(EVENTS, task.partition) - task.start) for task in judged)
        done = 0

        def advance(records: int) -> None:
            nonlocal done
            done += records
            progress("recounting the log", done, total)

        for part in workers.perform(judged, advance):
            _add(report, part)
        if small.catalog_end:  # who keeps no catalog keeps no ledger
            if options.partitions or options.since:
                report.notes.append("account states were not compared: they are made of the whole journal")
                whole = []
            _judge_states(workers, tasks_of(kafka, whole, folder / CATALOG, small.catalog_ms, kept), report)
        progress("what is not metered yet", 0, 0)
        report.waiting = waiting(kafka, ends, options.metered_wait_s)
        report.sequences = _judge_sequences(kafka, wanted, partitions, judged, report, plans)
    report.seconds = time.monotonic() - began
    return report


def _plan(
    kafka: KafkaTopics, partition: int, small: Small, horizon_ms: int, since: datetime | None, report: AuditReport
) -> _Plan:
    pages = small.pages[partition]
    log_start = kafka.log_start(EVENTS, partition)
    if not pages:
        report.notes.append(f"{EVENTS}/{partition}: no page yet")
        end = small.committed[partition]
        missing = Difference(name_of(partition, 0, end - 1), "record", "the meter's position", end, PAGES, "no page")
        return _Plan([], FIRST_DIGEST, log_start, missing if end else None)
    wrong = chain.broken(partition, pages, small.committed[partition], small.catalog_end)
    wrong = wrong or chain.begins_late(partition, pages, log_start)
    if wrong is not None:
        return _Plan([], FIRST_DIGEST, log_start, wrong)
    report.lost += [
        Lost(name_of(partition, page["first_offset"], page["last_offset"]), page["lost"])
        for page in pages
        if page["lost"] and (since is None or page["closed_at"] >= since)
    ]
    begin = 0
    if log_start:
        oldest = kafka.appended_at_ms(EVENTS, partition, log_start)
        known = log_start if oldest is None else kafka.offset_at(EVENTS, partition, oldest + horizon_ms)
        begin = sum(page["first_offset"] < known for page in pages)
        if begin:
            report.notes.append(
                f"{EVENTS}/{partition}: retention removed the beginning; {begin} pages before offset {known} cannot be "
                "judged"
            )
    if since is not None:
        begin = max(begin, next((n for n, page in enumerate(pages) if page["closed_at"] >= since), len(pages)))
    judged = pages[begin:]
    previous = pages[begin - 1]["digest"] if begin else pages[0]["previous_digest"]
    if not judged:
        return _Plan([], previous, pages[-1]["last_offset"] + 1)
    first = judged[0]["first_offset"]
    before = stretches(kafka, small.growths, partition, first, horizon_ms)
    return _Plan(judged, previous, _start(kafka, partition, first, log_start, horizon_ms), before=before)


def _start(kafka: KafkaTopics, partition: int, first_offset: int, log_start: int, horizon_ms: int) -> int:
    """Where to read from, so that a whole horizon lies before ``first_offset``."""
    if first_offset <= log_start:
        return log_start
    appended_at_ms = kafka.appended_at_ms(EVENTS, partition, first_offset)
    if appended_at_ms is None:
        return first_offset
    return min(first_offset, kafka.offset_at(EVENTS, partition, appended_at_ms - horizon_ms))


def _read_lines(kafka: KafkaTopics, workers: Workers, options: AuditOptions, folder: Path, progress: Progress) -> Kept:
    """Keep the lines of every page that may be judged on disk, several topic partitions at once."""
    progress("lines", 0, 0)
    shares: list[list[Any]] = [[] for _ in range(options.processes)]
    number = 0
    for record, topic in KEPT.items():
        for partition in kafka.partitions(topic):
            start = 0
            if options.since is not None:
                margin = options.since - timedelta(milliseconds=CLOCKS_MS)
                start = kafka.offset_at(topic, partition, int(margin.timestamp() * 1000))
            shares[number % len(shares)].append((record, partition, start))
            number += 1
    tasks = [LinesTask(share, folder) for share in shares if share]
    kept = Kept()
    for part in workers.perform(tasks, lambda records: None):
        kept.merge(part)
    return kept


def _loaded_to(small: Small) -> dict[tuple[str, int], int]:
    """What ClickHouse must hold before it can be judged."""
    last = {(EVENTS, partition): pages[-1]["last_offset"] for partition, pages in small.pages.items() if pages}
    return {**small.ends, **last}


def _task(
    partition: int,
    plan: _Plan,
    small: Small,
    kept: Kept,
    folder: Path,
    options: AuditOptions,
    entries_since_ms: int,
    partitions: int,
) -> PartitionTask:
    segments = {
        record: {first: found for (owner, first), found in by_page.items() if owner == partition}
        for record, by_page in kept.segments.items()
    }
    return PartitionTask(
        partition,
        plan.pages,
        {page["first_offset"]: small.page_values[partition][page["first_offset"]] for page in plan.pages},
        plan.previous_digest,
        plan.start,
        _KEYS,
        segments,
        small.quarantine[partition],
        folder / f"{partition}.sequences",
        int(time.time() * 1000) - options.settle_ms,
        folder / CATALOG,
        entries_since_ms,
        Route(partition, partitions, eras(small.growths, partition)),
        plan.before,
    )


def _stray(partition: int, small: Small, plan: _Plan, kept: Kept) -> Difference | None:
    """Lines or quarantined events of a page that there is none of; younger pages may have come since."""
    pages = small.pages[partition]
    if not pages:
        return None
    known = {page["first_offset"] for page in pages}
    end = pages[-1]["last_offset"]
    for record, topic in KEPT.items():
        for (owner, first), segments in sorted(kept.segments[record].items()):
            if owner == partition and first not in known and first <= end:
                name, found = name_of(partition, first, first), f"{len(segments)} runs of {record}s"
                return Difference(name, "lines", "usage.pages", "no such page", topic, found)
    return None


def _judge_states(workers: Workers, tasks: Sequence[StatesTask], report: AuditReport) -> None:
    for part in workers.perform(tasks, lambda records: None):
        report.accounts += part.accounts
        report.notes += part.notes
        report.foreign += part.foreign
        if part.difference is not None:
            report.differences.append(part.difference)
    if report.accounts:
        report.places.append(ACCOUNT_STATE)


def _judge_sequences(
    kafka: KafkaTopics,
    wanted: Sequence[int],
    partitions: Sequence[int],
    tasks: Sequence[PartitionTask],
    report: AuditReport,
    plans: dict[int, _Plan],
) -> sequences.Sequences:
    if list(wanted) != list(partitions):
        return sequences.Sequences(skipped="a source's numbers lie on every partition: not judged with --partition")
    if report.differences:
        return sequences.Sequences(skipped="numbers of sources were not judged: the recount ended at a difference")
    whole = all(kafka.log_start(EVENTS, number) == 0 and plans[number].start == 0 for number in wanted)
    return sequences.count_gaps([task.sequences_path for task in tasks], report.source_names, whole)


def _add(report: AuditReport, part: PartitionReport) -> None:
    report.pages += part.pages
    report.events_in += part.events_in
    report.events += part.events
    report.duplicates += part.duplicates
    report.quarantined += part.quarantined
    report.misrouted += part.misrouted
    report.unpriced += part.unpriced
    for mine, theirs in ((report.charges, part.charges), (report.costs, part.costs)):
        for currency, pico in theirs.items():
            mine[currency] = mine.get(currency, 0) + pico
    report.source_names |= part.sources
    if part.difference is not None:
        report.differences.append(part.difference)


_KEYS = Keys.drawn()
