"""Faults: events are sent again, soon or late, as they were or with another payload; reconcile is killed, run twice.

Invariant: lines add up to the first copy of every event, by every key and figure, however often it was sent; what
contradicts it is quarantined by name. ``FAULTS`` declares them; the check counts what was sent (support.usage_totals).
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from faults.fault import Fault
from support import usage_totals
from support.broker import broker, eventually, lag, read_all
from support.clickhouse import Server
from support.events import event
from support.outcome import Outcome
from support.workers import TESTS, WorkerProcess
from tokenmeter.audit import AuditSources
from tokenmeter.audit import run as audit
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES, QUARANTINE
from tokenmeter.flow.meter.app import APP_ID
from tokenmeter.flow.meter.dedup import HORIZON_MINUTES
from tokenmeter.ops.reconcile import Report, Sources
from tokenmeter.ops.reconcile import run as reconcile
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

LONG_MS = HORIZON_MINUTES * 60_000
SHORT_MS = 400
"""A horizon that a test can outlive."""
NO_HORIZON_MS = -1
"""The twin: a meter that knows no repeats."""
DAY_EVENTS = 600
WAVE_EVENTS = 400
SOON_SHARE = 0.05
KILLED_AFTER = 15
"""Corrections that a run sends before it is killed; a day needs several hundred."""
TIMEOUT_S = 90.0


def day(seed: int, count: int = DAY_EVENTS) -> list[UsageEvent]:
    """A day's calls, spread over yesterday. Half have customers of their own, so that ids can be told apart; half share
    a few customers, keys and models, so that lines hold several of them."""
    chance = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = []
    for number in range(count):
        at = midnight - timedelta(days=1) + timedelta(seconds=chance.randrange(86_400))
        own = number % 2 == 0
        made.append(
            event(
                seed * 1_000_000 + number,
                customer_id=f"own-{seed}-{number}" if own else f"shared-{chance.randrange(4)}",
                occurred_at=at if own else at.replace(hour=chance.randrange(2)),
                country=chance.choice([None, "DE", "US"]),
                streamed=chance.random() < 0.7,
                cancelled=chance.random() < 0.1,
                byok=chance.random() < 0.1,
                variant=chance.choice(["standard", "free"]),
            )
        )
    return made


@dataclass
class Rig:
    """A broker, a ClickHouse, a meter with a horizon of ``horizon_ms`` and a loader; ``first`` are the first copies."""

    folder: Path
    bootstrap: str
    url: str
    client: Client
    horizon_ms: int
    meter: WorkerProcess
    load: WorkerProcess
    first: list[UsageEvent] = field(default_factory=list)

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Through the SDK, all acknowledged."""
        with Emitter(self.bootstrap, source="fault") as emitter:
            for one in events:
                emitter.emit(one)

    def metered(self) -> None:
        """Wait until the meter has done all of it."""
        eventually("all is metered", lambda: lag(self.bootstrap, APP_ID, EVENTS) == 0, TIMEOUT_S)

    def outlive_horizon(self) -> None:
        """Wait until what is in the log is beyond the horizon by the broker's clock, which is this machine's."""
        last_ms = max(record.timestamp_ms for record in read_all(self.bootstrap, EVENTS))
        eventually("the horizon has passed", lambda: time.time() * 1_000 > last_ms + self.horizon_ms + 1, TIMEOUT_S)

    def merge(self) -> None:
        """Let ClickHouse drop every row but the first of each identity, as it does in its own time."""
        self.client.command("OPTIMIZE TABLE tokenmeter.usage_events FINAL")

    def reconcile(self, **options: Any) -> Report:
        return reconcile(Sources({"bootstrap.servers": self.bootstrap}, self.client, TIMEOUT_S), **options)

    def judge(self) -> Outcome:
        """What the lines say, against the first copies; ids where a customer has one event only."""
        self.metered()
        billing = usage_totals.on_topic(self.bootstrap, BILLING)
        calls: dict[str, int] = {}
        for key, line in billing.items():
            calls[key[0]] = calls.get(key[0], 0) + line["events"]
        own = [one.customer_id for one in self.first if one.customer_id.startswith("own-")]
        wrong = [
            *usage_totals.different(usage_totals.expected(BILLING, self.first), billing),
            *usage_totals.different(
                usage_totals.expected(MARKET, self.first), usage_totals.on_topic(self.bootstrap, MARKET)
            ),
        ]
        lost = sum(calls.get(customer, 0) < 1 for customer in own)
        return Outcome(1, len(self.first), lost, sum(calls.get(customer, 0) > 1 for customer in own), tuple(wrong[:5]))

    def audited(self) -> list[str]:
        """What the independent recount of the log says of pages, lines and ClickHouse."""
        sources = AuditSources({"bootstrap.servers": self.bootstrap}, self.url, "writer", "secret", self.horizon_ms)
        report = audit(sources)
        return [] if report.ok else [f"audit: {report.difference}"]


@contextmanager
def rig(folder: Path, horizon_ms: int) -> Iterator[Rig]:
    """Everything running; killed at the end."""
    server = Server(folder)
    server.start()
    try:
        with broker(folder) as kafka:
            client = connect(server.url, "writer", "secret")
            migrate(client)
            meter = WorkerProcess(folder, "meter", "meter", kafka.bootstrap, slot="1", horizon_ms=horizon_ms)
            load = WorkerProcess(folder, "load", "load", kafka.bootstrap, slot="1", clickhouse_url=server.url)
            try:
                yield Rig(folder, kafka.bootstrap, server.url, client, horizon_ms, meter, load)
            finally:
                meter.kill()
                load.kill()
    finally:
        server.child.kill()


def _outcome(injected: int, found: Outcome, wrong: Sequence[str], recover_s: Sequence[float] = ()) -> Outcome:
    return Outcome(injected, found.sent, found.lost, found.doubled, (*found.wrong, *wrong), tuple(recover_s))


def _text(found: Outcome) -> str:
    return "" if found.holds else f"lost {found.lost}, doubled {found.doubled}, {'; '.join(found.wrong[:2])}"


def _sent_twice(rig: Rig, times: int, seed: int) -> list[str]:
    wrong, repeats = [], 0
    for wave in range(times):
        events = day(seed * 1_000 + wave, WAVE_EVENTS)
        again = random.Random(seed + wave).sample(events, int(len(events) * SOON_SHARE))
        rig.send([*events, *again])
        rig.first += events
        repeats += len(again)
    rig.metered()
    counted = sum(decode(record.value).record["duplicates"] for record in read_all(rig.bootstrap, PAGES))
    wrong += [] if counted == repeats else [f"{repeats} repeats sent, {counted} counted"]
    return wrong


def run_sent_twice(folder: Path, times: int, seed: int) -> Outcome:
    with rig(folder, LONG_MS) as made:
        wrong = _sent_twice(made, times, seed)
        return _outcome(times, made.judge(), wrong)


def control_sent_twice(folder: Path, seed: int) -> str:
    with rig(folder, NO_HORIZON_MS) as made:
        _sent_twice(made, 1, seed)
        return _text(made.judge())


def _day_twice(
    rig: Rig, times: int, seed: int, fix: Callable[[Rig], object], merge: bool
) -> tuple[Outcome, list[float]]:
    """Send a day, then ``times`` again after the horizon; ``fix`` it each time; returns the judgement at the end."""
    rig.first = day(seed)
    rig.send(rig.first)
    wrong, took = [], []
    for _ in range(times):
        rig.metered()
        rig.outlive_horizon()
        rig.send(rig.first)
        if not rig.judge().doubled:
            wrong.append("the copies were not metered again: nothing was injected")
        eventually("the copies are loaded", lambda: lag(rig.bootstrap, "tokenmeter-load", EVENTS) == 0, TIMEOUT_S)
        if merge:
            rig.merge()
        began = time.monotonic()
        fix(rig)
        took.append(time.monotonic() - began)
    return _outcome(times, rig.judge(), wrong), took


def _apply_twice(rig: Rig) -> list[str]:
    """Apply; a second time, and a look at everything, must find and change nothing."""
    first = rig.reconcile(apply=True)
    wrong = [] if first.ok and first.sent else [f"reconcile: {first.sent} sent, {first.outstanding} lines left"]
    for again in (rig.reconcile(apply=True), rig.reconcile(apply=True, full=True)):
        if again.sent or again.wrong:
            wrong.append(f"applied again: {again.sent} sent, {len(again.wrong)} lines wrong")
    return wrong


def _run_day(folder: Path, times: int, seed: int, merge: bool) -> Outcome:
    with rig(folder, SHORT_MS) as made:
        wrong: list[str] = []
        found, took = _day_twice(made, times, seed, lambda rig: wrong.extend(_apply_twice(rig)), merge)
        return _outcome(times, found, [*wrong, *made.audited()], took)


def run_day(folder: Path, times: int, seed: int) -> Outcome:
    return _run_day(folder, times, seed, merge=False)


def run_day_merged(folder: Path, times: int, seed: int) -> Outcome:
    return _run_day(folder, times, seed, merge=True)


def control_random_ids(folder: Path, seed: int) -> str:
    """Each run names its corrections anew, so what one has done looks undone to the next."""

    def fix(rig: Rig) -> None:
        for _ in range(2):
            rig.reconcile(apply=True, full=True, make_id=lambda facts: f"reconcile-{uuid.uuid4().hex}")

    with rig(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=False)[0])


UNMERGED = """
SELECT e.customer_id, e.event_id FROM tokenmeter.usage_events AS e
GROUP BY e.customer_id, e.event_id HAVING count() > 1
"""


def control_unmerged(folder: Path, seed: int) -> str:
    """Believes the copies that ClickHouse happens not to have merged away."""

    def fix(rig: Rig) -> None:
        copies = set(rig.client.query(UNMERGED).result_rows)
        rig.send([_reversed(one) for one in rig.first if (one.customer_id, one.event_id) in copies])

    with rig(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=True)[0])


def _reversed(one: UsageEvent) -> UsageEvent:
    """What takes one call off again."""
    record = one.to_record()
    signed = {name: -record[name] for name in usage_totals.QUANTITY_FIELDS}
    signed |= {"calls": -1, "context_bucket": usage_totals.bucket(one.input_tokens)}
    return UsageEvent(
        **{**record, **signed, "kind": "CORRECTION", "corrects": one.event_id, "event_id": f"x-{one.event_id}"}
    )


def _kill_in_the_middle(rig: Rig) -> list[str]:
    command = [sys.executable, "-m", "support.reconcile_dying", rig.bootstrap, rig.url, str(KILLED_AFTER)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=TIMEOUT_S)
    return [] if ended.returncode == -signal.SIGKILL else [f"it was to be killed, but: {ended.stderr[-300:]}"]


def run_killed(folder: Path, times: int, seed: int) -> Outcome:
    """Killed after some corrections, ``times`` in a row and beyond the horizon each time, then run to its end."""
    wrong: list[str] = []

    def fix(rig: Rig) -> None:
        for _ in range(times):
            wrong.extend(_kill_in_the_middle(rig))
            rig.metered()
            rig.outlive_horizon()
        wrong.extend(_apply_twice(rig))

    with rig(folder, SHORT_MS) as made:
        found, took = _day_twice(made, 1, seed, fix, merge=True)
        return _outcome(times, found, [*wrong, *made.audited()], took)


def control_killed(folder: Path, seed: int) -> str:
    """The run after the kill names its corrections anew: what was sent before the kill is sent again."""

    def fix(rig: Rig) -> None:
        _kill_in_the_middle(rig)
        rig.reconcile(apply=True, full=True, make_id=lambda facts: f"reconcile-{uuid.uuid4().hex}")

    with rig(folder, SHORT_MS) as made:
        return _text(_day_twice(made, 1, seed, fix, merge=True)[0])


def changed(events: Sequence[UsageEvent], seed: int) -> list[UsageEvent]:
    """The same ids with other figures; some with another model, some with another hour."""
    chance = random.Random(seed)
    made = []
    for one in events:
        fields: dict[str, Any] = {"output_tokens": one.output_tokens + 1 + chance.randrange(1_000)}
        if chance.random() < 0.3:
            fields["model"] = "another/model"
        if chance.random() < 0.3:
            fields["occurred_at"] = one.occurred_at + timedelta(hours=1)
        made.append(one.model_copy(update=fields))
    return made


def _conflicts_soon(rig: Rig, times: int, seed: int) -> list[str]:
    expected = set()
    for wave in range(times):
        events = day(seed * 1_000 + wave, WAVE_EVENTS)
        others = changed(random.Random(seed + wave).sample(events, 40), seed)
        rig.send([*events, *others])
        rig.first += events
        expected |= {(one.customer_id, one.event_id, "conflict") for one in others}
    rig.metered()
    kept = [decode(record.value).record for record in read_all(rig.bootstrap, QUARANTINE)]
    found = {(one["customer_id"], one["event_id"], one["reason"]) for one in kept}
    wrong = [] if found == expected else [f"quarantine differs by {sorted(found ^ expected)[:3]}"]
    return wrong + ([] if len(kept) == len(expected) else [f"{len(kept)} quarantined for {len(expected)}"])


def run_conflict_soon(folder: Path, times: int, seed: int) -> Outcome:
    with rig(folder, LONG_MS) as made:
        wrong = _conflicts_soon(made, times, seed)
        return _outcome(times, made.judge(), wrong)


def control_conflict_soon(folder: Path, seed: int) -> str:
    with rig(folder, NO_HORIZON_MS) as made:
        wrong = _conflicts_soon(made, 1, seed)
        return "; ".join(filter(None, [_text(made.judge()), *wrong]))


def _conflicts_late(rig: Rig, times: int, seed: int, fix: Callable[[Rig], object]) -> Outcome:
    rig.first = day(seed)
    rig.send(rig.first)
    for time_no in range(times):
        rig.metered()
        rig.outlive_horizon()
        rig.send(changed(rig.first[:: 3 + time_no], seed + time_no))
        eventually("the copies are loaded", lambda: lag(rig.bootstrap, "tokenmeter-load", EVENTS) == 0, TIMEOUT_S)
        rig.merge()
        fix(rig)
    return rig.judge()


def run_conflict_late(folder: Path, times: int, seed: int) -> Outcome:
    with rig(folder, SHORT_MS) as made:
        wrong: list[str] = []
        found = _conflicts_late(made, times, seed, lambda rig: wrong.extend(_apply_twice(rig)))
        return _outcome(times, found, [*wrong, *made.audited()])


def control_conflict_late(folder: Path, seed: int) -> str:
    """Takes off what the first copy said, though the lines have what the second one says."""

    def fix(rig: Rig) -> None:
        rig.send([_reversed(one) for one in rig.first[::3]])

    with rig(folder, SHORT_MS) as made:
        return _text(_conflicts_late(made, 1, seed, fix))


_ONCE = "lines add up to the first copy of every event, by every key and figure"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "sent-twice",
        "5 % of the events are sent twice within the horizon",
        f"{_ONCE}; pages count the repeats",
        run_sent_twice,
        "a meter without a horizon",
        control_sent_twice,
    ),
    Fault(
        "day-resent",
        "a whole day's events are sent again after the horizon",
        f"after reconcile --apply {_ONCE}; twice applied changes nothing",
        run_day,
        "a reconcile that names its corrections at random",
        control_random_ids,
    ),
    Fault(
        "day-resent-merged",
        "a whole day's events are sent again after the horizon, and ClickHouse has merged the copies away",
        f"after reconcile --apply {_ONCE}; twice applied changes nothing",
        run_day_merged,
        "a reconcile that trusts unmerged rows",
        control_unmerged,
    ),
    Fault(
        "reconcile-killed",
        "reconcile --apply is killed when some of its corrections are sent, and run again after the horizon",
        f"after the run that ends {_ONCE}",
        run_killed,
        "a reconcile that names its corrections at random",
        control_killed,
    ),
    Fault(
        "conflict-soon",
        "the same ids come with another payload within the horizon",
        f"{_ONCE}; each conflict is quarantined by name",
        run_conflict_soon,
        "a meter without a horizon",
        control_conflict_soon,
    ),
    Fault(
        "conflict-late",
        "the same ids come with another payload after the horizon",
        f"after reconcile --apply {_ONCE}",
        run_conflict_late,
        "a reconcile that takes off what the first copy said",
        control_conflict_late,
    ),
)
