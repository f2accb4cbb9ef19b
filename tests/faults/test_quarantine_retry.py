"""Fault: new writers before the meters' upgrade, then retries that are killed, raced and repeated.

Invariant: after the upgrade each quarantined event is on usage.events once more, released once and counted once; what
is late, in conflict or counted already is never sent. The mutant commits events before their releases and is found.
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
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from support import oracle
from support.broker import eventually, read_all
from support.next_version import ADDED, next_value, old_value, rehearse
from support.workers import TESTS
from support.world import World
from tokenmeter.audit import AuditReport
from tokenmeter.cli.app import app
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS, QUARANTINE, RELEASED
from tokenmeter.events.errors import Fenced
from tokenmeter.ops.quarantine.ledger import Ledger, ledger
from tokenmeter.ops.quarantine.release import Release, Releaser
from tokenmeter.ops.quarantine.retry import Choice, Outcome, counted_in, retry

EVENTS_OF_NEW_WRITERS = 50


class Upgraded(World):
    """Its workers are from before the upgrade or after it."""

    def start(self, upgraded: bool) -> None:
        for kind in ("meter", "load"):
            self.worker(kind, upgraded=upgraded)

    def upgrade(self) -> None:
        """Tables first, then workers."""
        self.stop()
        kinds = {"batch_id": "Nullable(String)", "retries": "Int64", "cluster": "String", "labels": "Array(String)"}
        for name in ADDED:
            self.store.command(f"ALTER TABLE tokenmeter.usage_events ADD COLUMN {name} {kinds[name]}")
        self.start(upgraded=True)

    def settle(self) -> None:
        """Until everything is metered and what was quarantined is loaded, and the books agree."""
        for kind, topic in (("meter", EVENTS), ("load", EVENTS), ("load", QUARANTINE)):
            self.wait_read(kind, topic)
        reports: list[AuditReport] = []

        def agree() -> bool:
            reports.append(self.audit(processes=1))  # in this process, which knows the version that others do not
            return reports[-1].ok

        try:
            eventually("the books agree", agree, every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {reports[-1].difference}") from error

    def retry(self, choice: Choice, apply: bool = True) -> Outcome:
        counted = counted_in(self.client, self.store)
        return retry(self.client, choice, counted, Releaser(self.client) if apply else None)

    def killed(self, where: str, *mutant: str) -> None:
        """A retry in a process of its own that dies at ``where``; a mutant asks no ClickHouse."""
        url = "" if mutant else self.server.url
        command = [sys.executable, "-m", "support.retry_main", self.bootstrap, url, where, *mutant]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def copies(self, values: list[bytes]) -> Counter[int]:
        """How many of ``values`` are on usage.events how often."""
        log = Counter(record.value for record in read_all(self.bootstrap, EVENTS))
        return Counter(log[value] for value in values)

    def cli(self, *arguments: str) -> Any:
        done = CliRunner().invoke(app, ["quarantine", *arguments], env=self.settings, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Upgraded]:
    with Upgraded.begun(tmp_path, clickhouse=True) as made:
        yield made


@pytest.fixture
def topics(tmp_path: Path) -> Iterator[Upgraded]:
    """A world without ClickHouse, and a meter that quarantines what new writers send."""
    with Upgraded.begun(tmp_path) as made:
        made.worker("meter")
        yield made


def of_new_writers(first: int, count: int = EVENTS_OF_NEW_WRITERS) -> list[tuple[str, bytes]]:
    now = datetime.now(UTC)
    return [
        (f"new-{n:05d}", next_value(n, customer_id=f"new-{n:05d}", occurred_at=now))
        for n in range(first, first + count)
    ]


@pytest.mark.long
def test_events_of_an_upgrade_are_counted_once_after_killed_raced_and_repeated_retries(rig: Upgraded) -> None:
    now = datetime.now(UTC)
    new = of_new_writers(0)
    values = [value for _, value in new]
    old = [(f"old-{n}", old_value(n, customer_id=f"old-{n}", occurred_at=now)) for n in range(20)]
    twice = next_value(900, customer_id="twice", occurred_at=now, **ADDED)
    late = old_value(901, customer_id="late", occurred_at=now - timedelta(days=36))
    conflict = old_value(0, customer_id="old-0", occurred_at=now, output_tokens=4_999)
    others = [("twice", twice), ("late", late), ("old-0", conflict)]
    rig.start(upgraded=False)
    rig.produce([*old, *new, *others])
    rig.settle()
    assert oracle.counted(rig.bootstrap) == {key: 1 for key, _ in old}

    # The producer of one of them repeats it in a form that could be read, and that is counted.
    rig.produce([("twice", old_value(900, customer_id="twice", occurred_at=now))])
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
        assert oracle.counted(rig.bootstrap) == {key: 1 for key, _ in [*old, *new]} | {"twice": 1}
        assert rig.retry(everything).released == 0
        left = ledger(rig.client).open.select("reason").to_series().to_list()
        assert sorted(left) == ["conflict", "late", "schema"]
        stored = rig.store.query("SELECT reason, count() FROM tokenmeter.quarantine FINAL GROUP BY 1").result_rows
        assert dict(stored) == {RELEASED: 50, "conflict": 1, "late": 1, "schema": 1}
        shown = rig.cli("show", dry_position(dry, "late"), "--json")
        assert (shown["reason"], shown["value"]) == ("late", late.hex())
        assert "CORRECTION" in shown["now"]
        assert rig.audit(processes=1).ok


def dry_position(dry: dict[str, Any], verdict: str) -> str:
    return next(f"{one['partition']}:{one['offset']}" for one in dry["events"] if one["verdict"] == verdict)


def test_the_same_check_finds_a_retry_that_commits_events_before_their_releases(topics: Upgraded) -> None:
    new = of_new_writers(0)
    topics.produce(new)
    topics.wait_read("meter")
    topics.killed("events", "outside")
    topics.killed("commit", "outside")
    assert 3 in topics.copies([value for _, value in new]), "sent by both, so twice too often"


def test_a_release_behind_an_open_page_is_seen(topics: Upgraded) -> None:
    new = of_new_writers(0, 1)
    topics.produce(new)
    topics.wait_read("meter")
    (at,) = read_all(topics.bootstrap, QUARANTINE)
    record = decode(at.value).record
    releaser = Releaser(topics.client)
    releaser.fence()
    page = Producer({**topics.client, "transactional.id": "a-meter"})
    page.init_transactions(30)
    page.begin_transaction()
    page.produce(QUARANTINE, at.value, None, at.partition)
    assert page.flush(30) == 0
    releaser.release([Release(record, at.partition, "new-00000", "event-00000000")])
    found: list[Ledger] = []
    reading = threading.Thread(target=lambda: found.append(ledger(topics.client)))
    reading.start()
    reading.join(2)  # one that reads to the last stable offset is done by now, and wrong
    page.abort_transaction(30)
    reading.join(60)
    position = (record["partition"], record["offset"])
    assert position not in found[0].open.select("partition", "offset").rows()
    assert found[0].released.select("partition", "offset").rows() == [position]
