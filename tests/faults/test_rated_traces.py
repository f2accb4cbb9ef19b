"""Fault: the meter is killed at each crash point while two production traces are rated. Invariant: every charge, cost
and resale is what the contract's page says, to the last pico-unit, on the topics and in ClickHouse.

The book has long-context, cached, batch and time-window prices, a change of prices, and chains of three levels.
"""

from __future__ import annotations

import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support import owed
from support.broker import broker, eventually, lag
from support.clickhouse import Server
from support.worker_main import Point
from support.workers import WorkerProcess
from tokenmeter.audit.charges import Charges
from tokenmeter.emit import Emitter
from tokenmeter.emit.replay.traces import read, yesterday
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import EVENTS
from tokenmeter.flow.meter.app import APP_ID
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate
from tokenmeter.store.statement import money

DATA = Path(__file__).parents[3] / "shared" / "data"
TRACES = ("azure_llm_2023_code.csv", "mooncake_conversation.jsonl")
POINTS = [Point("Produce", "before"), Point("Produce", "after"), Point("Commit", "before"), Point("Commit", "after")]
BATCH_EVERY = 5


def calls() -> list[UsageEvent]:
    """Both traces; every fifth call is a batch one."""
    made: list[UsageEvent] = []
    for name in TRACES:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the trace {path} is not on this machine; it is others' data and not part of the repository")
        made += read(path, yesterday(datetime.now(UTC)))
    return [one.model_copy(update={"variant": "batch"}) if n % BATCH_EVERY == 0 else one for n, one in enumerate(made)]


def sums(amounts: owed.Owed) -> dict[str, int]:
    """By kind, as ClickHouse is asked."""
    found: Counter[str] = Counter()
    for key, amount in amounts.items():
        if key[1] != "unpriced":
            found[f"{key[0]} USD"] += amount
    return dict(found)


def test_two_traces_owe_what_the_page_says_whatever_is_killed(tmp_path: Path) -> None:
    events = calls()
    server = Server(tmp_path)
    server.start()
    with broker(tmp_path, partitions=2) as kafka:
        rows = owed.for_events(events)
        owed.publish(kafka.bootstrap, rows)
        client = connect(server.url, "writer", "secret")
        migrate(client)
        loader = WorkerProcess(tmp_path, "load", "load", kafka.bootstrap, slot="1", clickhouse_url=server.url)
        try:
            for number, point in enumerate(POINTS):
                with Emitter(kafka.bootstrap) as emitter:
                    for event in events[number :: len(POINTS)]:
                        emitter.emit(event)
                dying = WorkerProcess(tmp_path, f"dying-{number}", "meter", kafka.bootstrap, slot="1", point=point)
                assert dying.wait_ended(120) == -signal.SIGKILL, dying.child.log_tail()
            last = WorkerProcess(tmp_path, "last", "meter", kafka.bootstrap, slot="1")
            eventually(f"all is metered; {last.log}", lambda: lag(kafka.bootstrap, APP_ID, EVENTS) == 0, 120)
            last.kill()
            assert owed.problems(kafka.bootstrap, events) == []
            wanted = sums(owed.expected(events, Charges(enumerate(rows))))
            assert {"charge USD", "cost USD", "resale USD"} == set(wanted)
            eventually("ClickHouse says the same", lambda: money(client) == wanted, 60)
        finally:
            loader.kill()
            server.child.kill()
