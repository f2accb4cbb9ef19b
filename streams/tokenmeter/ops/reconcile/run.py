"""Runs reconcile: waits until everything is loaded, judges, and on demand emits, waits and judges again."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import DAY_MS, EVENTS, TOPICS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_USAGE_KEYS
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.ops.reconcile.books import Books
from tokenmeter.ops.reconcile.byrating import split_by_rating
from tokenmeter.ops.reconcile.corrections import (
    BILLING_MEASURES,
    SOURCE,
    Key,
    MakeId,
    PageDifference,
    corrections,
    stable_id,
)
from tokenmeter.ops.reconcile.evidence import Evidence
from tokenmeter.ops.reconcile.sources import DERIVED, Behind, Positions, Scope, Store
from tokenmeter.ops.reconcile.whole import require_first_page, require_last_pages, require_same_log

RAW_DAYS = 31
"""How long ClickHouse keeps raw events, counted from their append time."""
LOG_DAYS = next(topic.retention_ms or 0 for topic in TOPICS if topic.name == EVENTS) // DAY_MS
JUDGED_DAYS = RAW_DAYS - LOG_DAYS
"""A page closed within this many days holds no event appended before the raw table's oldest day: what the meter reads
was appended at most LOG_DAYS before."""
SETTLE_TIMEOUT_S = 60.0
SETTLE_POLL_S = 0.2
JUDGED_FOR_S = 300.0
"""A judgement older than this is not acted on: two runs that act within the dedup horizon are one to the meter."""


@dataclass(frozen=True)
class Sources:
    """Where to look and what to write to. ``client`` holds the Kafka clients' settings, bootstrap.servers included.

    ``emitter`` is the seam at which a test lets a run die in the middle.
    """

    client: Mapping[str, Any]
    clickhouse: Client
    wait_s: float = SETTLE_TIMEOUT_S
    emitter: type[Emitter] = Emitter


@dataclass
class Report:
    """What a run found. ``wrong`` is lines minus truth by billing key, before anything was corrected in this run."""

    run_id: str
    begins: dict[int, int] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)
    pages: int = 0
    wrong: dict[Key, dict[str, int]] = field(default_factory=dict)
    sent: int = 0
    outstanding: int = 0
    """Wrong lines that are left."""
    unprovable: int = 0
    applied: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.outstanding == 0

    def total(self, measure: str) -> int:
        """Of all wrong lines."""
        return sum(measures[measure] for measures in self.wrong.values())

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        rows = [
            {
                **{
                    n: part.isoformat() if isinstance(part, datetime) else part
                    for n, part in zip(BILLING_USAGE_KEYS, key, strict=True)
                },
                **measures,
            }
            for key, measures in self.wrong.items()
        ]
        names = ("run_id", "applied", "begins", "watermarks", "pages", "sent", "outstanding", "unprovable", "notes")
        return {"ok": self.ok, **{name: getattr(self, name) for name in names}, "wrong": rows}


def run(
    sources: Sources,
    *,
    apply: bool = False,
    full: bool = False,
    trust_store: bool = False,
    say: Callable[[str], None] = lambda line: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    make_id: MakeId = stable_id,
) -> Report:
    """Judge what was metered since the last clean run (``full``: all that can be judged) and, with ``apply``, set it
    right; with ``trust_store`` also pages that the log no longer holds, so that nothing but the store speaks for them.

    Raises Fatal when the meter or the loader is behind for ``wait_s``, or the store is not whole.
    """
    store, positions = Store(sources.clickhouse), Positions(sources.client)
    judged_at = time.monotonic()
    report = Report(uuid.uuid4().hex, applied=apply)
    require_same_log(sources.client, store)
    ends = settle(positions, sources.wait_s, say)
    require_last_pages(sources.client, store, ends)
    scope = _scope(sources, store, {} if full else store.last_watermarks(), ends, now(), report)
    say(f"judging {scope.pages} pages")
    differences = store.differences(scope)
    split_by_rating(differences, store, Books(KafkaLogReader(sources.client)).at)
    report.begins, report.watermarks, report.pages = scope.begins, scope.ends, scope.pages
    report.unprovable = store.unprovable(scope, RAW_DAYS)
    left = _left(differences, store, make_id)
    report.wrong = _by_key(page for page, events in left if events)
    report.outstanding = _lines(left)
    if apply and report.outstanding:
        events = _provable(sources, store, left, trust_store, report, say)
        _send(sources, events, judged_at, say)
        report.sent = len(events)
        settle(positions, sources.wait_s, say)
        report.outstanding = _lines(_left(differences, store, make_id))
    _record(sources.clickhouse, report, now())
    return report


def settle(positions: Positions, wait_s: float, say: Callable[[str], None], also: Sequence[str] = ()) -> dict[int, int]:
    """Wait until all that is in usage.events now is metered and loaded, with the topics ``also``; returns its ends by
    partition.

    Raises Fatal naming who is behind and where.
    """
    say("waiting until all that was sent is metered and loaded")
    deadline = time.monotonic() + wait_s
    ends = positions.ends(EVENTS)
    _until(lambda: positions.behind("meter", EVENTS, ends), deadline)
    for topic in (*DERIVED, *also):
        derived = positions.ends(topic)
        _until(lambda topic=topic, derived=derived: positions.behind("loader", topic, derived), deadline)  # type: ignore[misc]
    _until(lambda: positions.behind("loader", EVENTS, ends), deadline)
    return ends


def _until(behind: Callable[[], Behind | None], deadline: float) -> None:
    while (found := behind()) is not None:
        if time.monotonic() > deadline:
            raise Fatal(f"{found}; what it has not done would look like a difference", hint="tokenmeter status")
        time.sleep(SETTLE_POLL_S)


def _scope(
    sources: Sources, store: Store, begins: dict[int, int], ends: dict[int, int], at: datetime, report: Report
) -> Scope:
    """The whole pages between what was set right before and what is loaded; Fatal when the store lacks one of them."""
    wanted = Scope({p: begins.get(p, 0) for p in ends}, ends, 0)
    since = at - timedelta(days=JUDGED_DAYS)
    found = {row["partition"]: row for row in store.rows("pages", since=since, **wanted.parameters())}
    for partition, row in found.items():
        if row["offsets"] != row["end"] - row["begin"]:
            raise Fatal(
                f"ClickHouse lacks a page of {EVENTS}/{partition}", hint=f"tokenmeter audit --partition {partition}"
            )
        require_first_page(sources.client, partition, row["begin"], max(wanted.begins[partition], row["below"]))
        if row["begin"] > wanted.begins[partition]:
            report.notes.append(
                f"{EVENTS}/{partition}: pages before offset {row['begin']} are older than {JUDGED_DAYS} days; the raw "
                "events they would be compared with may be gone"
            )
    scope = Scope(
        {p: found[p]["begin"] if p in found else wanted.begins[p] for p in ends},
        {p: found[p]["end"] if p in found else wanted.begins[p] for p in ends},
        sum(row["pages"] for row in found.values()),
    )
    lines = {row["partition"]: row for row in store.rows("lines", **scope.parameters())}
    for partition, row in found.items():
        for kind in ("billing_lines", "market_lines"):
            stored = lines[partition][kind] if partition in lines else 0
            if stored != row[kind]:
                raise Fatal(
                    f"ClickHouse holds {stored} {kind} of pages [{row['begin']},{row['end']}) of {EVENTS}/{partition}, "
                    f"the pages say {row[kind]}",
                    hint=f"tokenmeter audit --partition {partition}",
                )
    return scope


Left = list[tuple[PageDifference, list[UsageEvent]]]
"""Each wrong page with the corrections that are not stored yet."""


def _left(differences: list[PageDifference], store: Store, make_id: MakeId) -> Left:
    applied = store.applied() if differences else {}
    left = []
    for page in differences:
        made = corrections(page, make_id)
        for event in made:
            said = (event.customer_id, event.calls, event.input_tokens, event.output_tokens, event.rating)
            before = applied.get(event.event_id, said)
            # Corrections from before there were ratings have none, and took off what was not rated.
            if before != said and before != (*said[:-1], None):
                raise Fatal(
                    f"{page.name}: correction {event.event_id} is stored with other figures: "
                    f"{applied[event.event_id]}, now {said}; the raw events of the page have changed since",
                    hint=f"tokenmeter audit --partition {page.partition}",
                )
        left.append((page, [event for event in made if event.event_id not in applied]))
    return left


def _provable(
    sources: Sources, store: Store, left: Left, trust_store: bool, report: Report, say: Callable[[str], None]
) -> list[UsageEvent]:
    """The corrections to send: of pages whose raw events the log proves to be whole."""
    say("proving that the raw events are whole")
    evidence = Evidence(sources.client, store, report.run_id)
    wrong = [(page, events) for page, events in left if events]
    held = [(page, events) for page, events in wrong if evidence.holds(page)]
    evidence.require_whole(store.page_ends(page for page, _ in held))
    if len(held) < len(wrong) and not trust_store:
        report.notes.append(
            f"{len(wrong) - len(held)} wrong pages are no longer in {EVENTS}, which would prove the raw events whole; "
            "they are left (--trust-store corrects them)"
        )
        wrong = held
    return [event for _, events in wrong for event in events]


def _lines(left: Left) -> int:
    return sum(len(page.billing) or len(page.market) for page, events in left if events)


def _by_key(pages: Any) -> dict[Key, dict[str, int]]:
    found: dict[Key, dict[str, int]] = defaultdict(lambda: dict.fromkeys(BILLING_MEASURES, 0))
    for page in pages:
        for key, measures in page.billing.items():
            for name in BILLING_MEASURES:
                found[key][name] += measures[name]
    return dict(sorted(found.items(), key=lambda row: [(part is not None, part) for part in row[0]]))


def _send(sources: Sources, events: list[UsageEvent], judged_at: float, say: Callable[[str], None]) -> None:
    age_s = time.monotonic() - judged_at
    if age_s > JUDGED_FOR_S + sources.wait_s:
        raise Fatal(
            f"what is to be corrected was judged {age_s:.0f} s ago; another run may have corrected it since",
            hint="tokenmeter reconcile --apply",
        )
    say(f"sending {len(events)} corrections")
    servers = sources.client["bootstrap.servers"]
    with sources.emitter(servers, source=SOURCE, client_config=sources.client) as emitter:
        for event in events:
            emitter.emit(event)


def _record(client: Client, report: Report, at: datetime) -> None:
    row = {
        "run_id": report.run_id,
        "finished_at": at,
        "applied": report.applied,
        "begins": report.begins,
        "watermarks": report.watermarks,
        "pages": report.pages,
        "wrong_lines": len(report.wrong),
        "wrong_calls": report.total("events"),
        "wrong_input_tokens": report.total("input_tokens"),
        "wrong_output_tokens": report.total("output_tokens"),
        "corrections": report.sent,
        "outstanding_lines": report.outstanding,
        "unprovable_events": report.unprovable,
    }
    client.insert("tokenmeter.reconcile_runs", [list(row.values())], column_names=list(row))
