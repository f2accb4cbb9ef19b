"""Fault: new writers before the meters' upgrade, then retries that are killed, raced and repeated.

Invariant: after the upgrade each quarantined event is on usage.events once more, released once and counted once; what
is late, in conflict or counted already is never sent. The twin commits events before their releases and is found.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer
from typer.testing import CliRunner

from support.broker import broker, eventually, lag, read_all
from support.clickhouse import Server
from support.next_version import ADDED, next_value, old_value, rehearse
from support.workers import TESTS, WorkerProcess
from tokenmeter.audit import AuditOptions, AuditSources
from tokenmeter.audit import run as audit
from tokenmeter.cli.app import app
from tokenmeter.events import decode
from tokenmeter.events.contract import BILLING, EVENTS, QUARANTINE, RELEASED
from tokenmeter.events.errors import Fenced
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.ops.quarantine.ledger import Ledger, ledger
from tokenmeter.ops.quarantine.release import Release, Releaser
from tokenmeter.ops.quarantine.retry import Choice, Outcome, counted_in, retry
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

EVENTS_OF_NEW_WRITERS = 50
PARTITIONS = 2
"""Each may end with a marker that nobody has to commit."""


class Rig:
    """A broker, a ClickHouse, workers from before or after the upgrade."""

    def __init__(self, folder: Path, bootstrap: str, server: Server) -> None:
        self.folder, self.bootstrap, self.server = folder, bootstrap, server
        self.settings = {"bootstrap.servers": bootstrap}
        self.client: Client = connect(server.url, "writer", "secret")
        migrate(self.client)
        self.workers: list[WorkerProcess] = []
        self.count = 0

    def start(self, upgraded: bool) -> None:
        for kind in ("meter", "load"):
            self.count += 1
            name = f"{kind}-{self.count}"
            url = self.server.url
            self.workers.append(
                WorkerProcess(self.folder, name, kind, self.bootstrap, clickhouse_url=url, upgraded=upgraded)
            )

    def stop(self) -> None:
        while self.workers:
            self.workers.pop().child.stop()

    def upgrade(self) -> None:
        """Tables first, then workers."""
        self.stop()
        kinds = {"batch_id": "Nullable(String)", "retries": "Int64", "cluster": "String", "labels": "Array(String)"}
        for name in ADDED:
            self.client.command(f"ALTER TABLE tokenmeter.usage_events ADD COLUMN {name} {kinds[name]}")
        self.start(upgraded=True)

    def send(self, values: list[tuple[str, bytes]]) -> None:
        producer = Producer({**self.settings, "partitioner": "murmur2_random", "enable.idempotence": True})
        for key, value in values:
            producer.produce(EVENTS, value, key.encode())
        assert producer.flush(30) == 0

    def settle(self) -> None:
        """Until everything is metered and what was quarantined is loaded (a last marker needs no commit)."""
        for topic, group in ((EVENTS, meter_app.APP_ID), (EVENTS, load_app.APP_ID), (QUARANTINE, load_app.APP_ID)):
            eventually(
                f"{group} has read {topic}; {[w.log for w in self.workers]}", partial(self.has_read, group, topic)
            )
        report: Any = None

        def agree() -> bool:
            nonlocal report
            report = self.audit()
            return bool(report.ok)

        try:
            eventually("the books agree", agree, every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {report.difference}") from error

    def has_read(self, group: str, topic: str) -> bool:
        return lag(self.bootstrap, group, topic) <= PARTITIONS

    def audit(self) -> Any:
        # In this process, which knows the version that the others do not.
        sources = AuditSources(self.settings, self.server.url, "writer", "secret", 15 * 60_000)
        return audit(sources, AuditOptions(processes=1))

    def retry(self, choice: Choice, apply: bool = True) -> Outcome:
        return retry(
            self.settings, choice, counted_in(self.settings, self.client), Releaser(self.settings) if apply else None
        )

    def killed(self, where: str, *twin: str) -> None:
        """A retry in a process of its own that dies at ``where``."""
        command = [sys.executable, "-m", "support.retry_main", self.bootstrap, self.server.url, where, *twin]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def copies(self, values: list[bytes]) -> Counter[int]:
        """How many of ``values`` are on usage.events how often."""
        log = Counter(record.value for record in read_all(self.bootstrap, EVENTS))
        return Counter(log[value] for value in values)

    def counted(self) -> dict[str, int]:
        """Events by customer on usage.billing."""
        found: Counter[str] = Counter()
        for record in read_all(self.bootstrap, BILLING):
            line = decode(record.value).record
            found[line["customer_id"]] += line["events"]
        return dict(found)

    def cli(self, *arguments: str) -> Any:
        env = {
            "TOKENMETER_KAFKA_BOOTSTRAP": self.bootstrap,
            "TOKENMETER_CLICKHOUSE_URL": self.server.url,
            "TOKENMETER_CLICKHOUSE_USER": "writer",
            "TOKENMETER_CLICKHOUSE_PASSWORD": "secret",
        }
        done = CliRunner().invoke(app, ["quarantine", *arguments], env=env, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    server = Server(tmp_path)
    server.start()
    try:
        with broker(tmp_path) as kafka:
            made = Rig(tmp_path, kafka.bootstrap, server)
            try:
                yield made
            finally:
                made.stop()
    finally:
        server.child.kill()


def of_new_writers(first: int, count: int = EVENTS_OF_NEW_WRITERS) -> list[tuple[str, bytes]]:
    now = datetime.now(UTC)
    return [
        (f"new-{n:05d}", next_value(n, customer_id=f"new-{n:05d}", occurred_at=now))
        for n in range(first, first + count)
    ]


def test_events_of_an_upgrade_are_counted_once_after_killed_raced_and_repeated_retries(rig: Rig) -> None:
    now = datetime.now(UTC)
    new = of_new_writers(0)
    values = [value for _, value in new]
    old = [(f"old-{n}", old_value(n, customer_id=f"old-{n}", occurred_at=now)) for n in range(20)]
    twice = next_value(900, customer_id="twice", occurred_at=now, **ADDED)
    late = old_value(901, customer_id="late", occurred_at=now - timedelta(days=36))
    conflict = old_value(0, customer_id="old-0", occurred_at=now, output_tokens=4_999)
    others = [("twice", twice), ("late", late), ("old-0", conflict)]
    rig.start(upgraded=False)
    rig.send([*old, *new, *others])
    rig.settle()
    assert rig.counted() == {key: 1 for key, _ in old}

    # The producer of one of them repeats it in a form that could be read, and that is counted.
    rig.send([("twice", old_value(900, customer_id="twice", occurred_at=now))])
    listed = rig.cli("list", "--json")
    assert {row["reason"]: row["events"] for row in listed["rows"]} == {"schema": 51, "late": 1, "conflict": 1}
    assert rig.cli("list", "--reason", "late", "--json")["rows"][0]["customer_id"] == "late"
    assert rig.cli("list", "--since", "2099-01-01", "--json")["events"] == 0

    with rehearse():
        rig.upgrade()
        rig.settle()
        everything = Choice(everything=True)
        dry = rig.cli("retry", "--all", "--json")
        assert dry["verdicts"] == {"send": 50, "counted": 1, "late": 1, "conflict": 1}
        assert (dry["applied"], dry["released"], rig.copies(values)) == (False, 0, {1: 50}), "a dry run sends nothing"

        rig.killed("events")
        assert rig.copies(values) == {1: 50}
        rig.killed("releases")
        assert rig.copies(values) == {1: 50}
        half = frozenset(
            (r.partition, r.offset) for r in read_all(rig.bootstrap, EVENTS) if r.value in set(values[::2])
        )
        assert rig.retry(Choice(positions=half)).released == 25
        with ThreadPoolExecutor(3) as pool:
            raced = [pool.submit(rig.retry, everything) for _ in range(3)]
        errors = [error for one in raced if (error := one.exception()) is not None]
        assert all(isinstance(error, Fenced) for error in errors), errors
        assert sum(one.exception() is None for one in raced) >= 1, "whoever fenced last is done"
        rig.retry(everything)
        assert rig.copies(values) == {2: 50}, "each was sent again, and once"

        rig.settle()
        assert rig.counted() == {key: 1 for key, _ in [*old, *new]} | {"twice": 1}
        assert rig.retry(everything).released == 0
        left = ledger(rig.settings).open.select("reason").to_series().to_list()
        assert sorted(left) == ["conflict", "late", "schema"]
        stored = rig.client.query("SELECT reason, count() FROM tokenmeter.quarantine FINAL GROUP BY 1").result_rows
        assert dict(stored) == {RELEASED: 50, "conflict": 1, "late": 1, "schema": 1}
        shown = rig.cli("show", dry_position(dry, "late"), "--json")
        assert (shown["reason"], shown["value"]) == ("late", late.hex())
        assert "CORRECTION" in shown["now"]
        assert rig.audit().ok


def dry_position(dry: dict[str, Any], verdict: str) -> str:
    return next(f"{one['partition']}:{one['offset']}" for one in dry["events"] if one["verdict"] == verdict)


def test_the_same_check_finds_a_retry_that_commits_events_before_their_releases(rig: Rig) -> None:
    new = of_new_writers(0)
    rig.start(upgraded=False)
    rig.send(new)
    rig.settle()
    rig.killed("events", "outside")
    rig.killed("commit", "outside")
    assert 3 in rig.copies([value for _, value in new]), "sent by both, so twice too often"


def test_a_release_behind_an_open_page_is_seen(rig: Rig) -> None:
    new = of_new_writers(0, 1)
    rig.start(upgraded=False)
    rig.send(new)
    rig.settle()
    # One event is no more than settle() takes for markers.
    at = eventually("the event is quarantined", lambda: read_all(rig.bootstrap, QUARANTINE))[0]
    record = decode(at.value).record
    releaser = Releaser(rig.settings)
    releaser.fence()
    page = Producer({**rig.settings, "transactional.id": "a-meter"})
    page.init_transactions(30)
    page.begin_transaction()
    page.produce(QUARANTINE, at.value, None, at.partition)
    assert page.flush(30) == 0
    releaser.release([Release(record, at.partition, "new-00000", "event-00000000")])
    found: list[Ledger] = []
    reading = threading.Thread(target=lambda: found.append(ledger(rig.settings)))
    reading.start()
    reading.join(2)  # one that reads to the last stable offset is done by now, and wrong
    page.abort_transaction(30)
    reading.join(60)
    position = (record["partition"], record["offset"])
    assert position not in found[0].open.select("partition", "offset").rows()
    assert found[0].released.select("partition", "offset").rows() == [position]
