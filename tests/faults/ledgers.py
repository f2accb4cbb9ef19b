"""Faults: ledgers killed at each crash point, and ledgers that join, leave and freeze while the broker is killed.

Invariant: every balance is the sum of its account's entries, and every threshold is told exactly once.
"""

from __future__ import annotations

import random
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from faults.fault import Fault
from faults.test_ledger_deaths import POINTS, die
from faults.test_two_ledgers import come_and_go
from support import oracle
from support.broker import broker, eventually, lag
from support.clickhouse import Server
from support.ledger_waves import ACCOUNTS, PARTITIONS
from support.outcome import Outcome
from support.priced_waves import priced, publish
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.audit import AuditOptions, AuditSources, run
from tokenmeter.events.contract import ACCOUNT_STATE, EVENTS, LEDGER
from tokenmeter.flow.ledger import app as ledger_app
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

HORIZON_MS = 15 * 60_000
WAIT_S = 240.0
WAVE_EVENTS = 200
UP_S = (0.5, 3.0)
"""How long all of them run between two kills."""
MARKERS = 2
"""Offsets at the end of a topic that are no records: a group never commits behind them."""


def deaths(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(die(folder, list(islice(cycle(POINTS), times)))))


def deaths_control(folder: Path, seed: int) -> str:
    return "; ".join(die(folder, [Point("Commit", "before", 3)], "commit_outside")[:2])


def comings(folder: Path, times: int, seed: int) -> Outcome:
    return Outcome(times, len(ACCOUNTS), wrong=tuple(come_and_go(folder, times, inside_pages=True)))


def audited(folder: Path, times: int, seed: int, twin: Point | None = None) -> tuple[int, list[str]]:
    """Meter, ledger or loader is killed ``times`` times under load; returns how many events were sent, and the first
    thing on which the log, pages, lines, ledger.entries, account.state and ClickHouse differ in the end.

    ``twin``: the first ledger commits its position before its states, and dies there.
    """
    chance, server = random.Random(seed), Server(folder, reads=("tokenmeter",))
    server.start()
    try:
        with broker(folder, PARTITIONS) as kafka:
            migrate(connect(server.url, "writer", "secret"))
            publish(kafka.bootstrap, *priced())
            waves = oracle.Load(kafka.bootstrap)

            def start(kind: str, number: int, **spec: Any) -> WorkerProcess:
                where = {"clickhouse_url": server.url} if kind == "load" else {}
                return WorkerProcess(folder, f"{kind}-{number}", kind, kafka.bootstrap, slot="1", **where, **spec)

            here = {kind: start(kind, 0) for kind in ("meter", "load")}
            here["ledger"] = start("ledger", 0, **({"twin": "commit_outside", "point": twin} if twin else {}))
            try:
                for number in range(1, times + 1):
                    waves.wave(WAVE_EVENTS)
                    time.sleep(chance.uniform(*UP_S))
                    kind = "ledger" if twin else chance.choice(sorted(here))
                    if twin:
                        here[kind].wait_ended(WAIT_S)
                    here[kind].kill()
                    here[kind] = start(kind, number)
                waves.wave(WAVE_EVENTS)
                return len(waves.sent), _settled(kafka.bootstrap, server)
            finally:
                for one in here.values():
                    one.kill()
    finally:
        server.child.kill()


def _settled(bootstrap: str, server: Server) -> list[str]:
    """What the audit finds once everything is metered, booked and stored."""

    def settled() -> bool:
        group_of = {meter_app.APP_ID: EVENTS, ledger_app.APP_ID: LEDGER, load_app.APP_ID: ACCOUNT_STATE}
        return all(lag(bootstrap, group, topic) <= MARKERS for group, topic in group_of.items())

    eventually("all is metered, booked and stored", settled, WAIT_S, 1.0)
    sources = AuditSources({"bootstrap.servers": bootstrap}, server.url, "writer", "secret", HORIZON_MS)
    report = run(sources, AuditOptions(settle_ms=0))
    return [str(one) for one in report.differences] or ([] if report.accounts else ["no account was compared"])


def random_kills(folder: Path, times: int, seed: int) -> Outcome:
    sent, found = audited(folder, times, seed)
    return Outcome(times, sent, wrong=tuple(found))


def random_kills_control(folder: Path, seed: int) -> str:
    return "; ".join(audited(folder, 1, seed, Point("Commit", "before", 1))[1])


FAULTS = [
    Fault(
        "everything killed at random, audited",
        "kill -9 of meter, ledger and loader on a seeded schedule; case C17",
        "account.state = ledger.entries = charges of the lines = ClickHouse, for every account",
        random_kills,
        "position committed before the state",
        random_kills_control,
    ),
    Fault(
        "ledger killed at crash points",
        "kill -9 of the ledger before and after it produces and commits",
        "every balance is exact, every threshold is told once",
        deaths,
        "position committed before the state",
        deaths_control,
    ),
    Fault(
        "ledgers come, go and freeze",
        "ledgers join and leave, one is frozen past its session, the broker is killed inside a page",
        "every balance is exact, every threshold is told once, the frozen one dies fenced",
        comings,
        "position committed before the state",
        deaths_control,
    ),
]
