"""What the audit says of a real log that lost something: before Kafka, to retention, or before the time asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from support.broker import read_all
from support.events import value
from support.world import World
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS, PAGES

PARTITIONS = 2
ENDED = datetime.now(UTC) - timedelta(minutes=1)
GONE = frozenset({3, 4, 5, 40})
"""Numbers of source "holes" that were never sent."""


class Log(World):
    def send_numbers(self, numbers: list[int], source: str) -> None:
        """Events of one source; the customers, and with them the partitions, follow each other in no order."""
        customers = {number: f"customer-{number * 7 % 13}" for number in numbers}
        self.produce(
            (
                customers[number],
                value(
                    number,
                    event_id=f"{source}-{number}",
                    customer_id=customers[number],
                    occurred_at=ENDED,
                    source=source,
                    sequence=number,
                ),
            )
            for number in numbers
        )

    def pages(self) -> list[dict[str, Any]]:
        return [decode(record.value).record for record in read_all(self.bootstrap, PAGES)]

    def command(self, *arguments: str) -> tuple[int, str]:
        """(exit code, output) of the command itself."""
        command = [sys.executable, "-m", "tokenmeter.cli.app", "audit", "--no-clickhouse", *arguments]
        env = {**os.environ, "TOKENMETER_KAFKA_BOOTSTRAP": self.bootstrap, "TOKENMETER_DATA": str(self.folder)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout or done.stderr


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with Log.begun(tmp_path, PARTITIONS) as made:
        yield made


def test_numbers_that_no_partition_has_are_lost_and_retries_are_not(log: Log) -> None:
    meter = log.worker("meter", slot="1")
    log.send_numbers([n for n in reversed(range(60)) if n not in GONE], "holes")
    log.send_numbers([*range(30), *range(30)], "retries")
    log.wait_read("meter")
    meter.kill()
    report = log.audit(settle_ms=0)
    assert report.ok, report.difference
    (gap,) = report.sequences.gaps
    assert (gap.source, gap.missing, gap.ranges) == ("holes", len(GONE), [(3, 5), (40, 40)])
    assert report.passes(strict=False) and not report.passes(strict=True)
    assert log.audit(settle_ms=0, partitions=[0]).sequences.skipped is not None
    code, printed = log.command()
    assert code == 0, printed
    # The command waits until numbers have settled, so that young ones are not judged yet.
    assert "lost before Kafka" not in printed


@pytest.mark.long
def test_pages_since_a_time_still_know_the_repeats_of_those_before(log: Log) -> None:
    meter = log.worker("meter", slot="1")
    log.send_numbers(list(range(100)), "one")
    log.wait_read("meter")
    since = max(page["closed_at"] for page in log.pages()) + timedelta(milliseconds=1)
    log.send_numbers([*range(100), *range(200, 250)], "one")
    log.wait_read("meter")
    meter.kill()
    report = log.audit(settle_ms=0, since=since)
    assert report.ok, report.difference
    assert report.waiting == []
    younger = [page for page in log.pages() if page["closed_at"] >= since]
    assert report.pages == len(younger) < len(log.pages())
    assert (report.events_in, report.events, report.duplicates) == (150, 50, 100)
    report = log.audit(settle_ms=0, partitions=[1])
    assert report.ok and report.events_in == sum(page["events_in"] for page in log.pages() if page["partition"] == 1)
    log.send_numbers(list(range(300, 340)), "one")
    report = log.audit(settle_ms=0, metered_wait_s=0)  # nobody meters them
    assert report.ok and not report.passes(strict=True)
    assert sum(one.events for one in report.waiting) == 40
    assert sum("NOT METERED: usage.events/" in line for line in report.lines()) == len(report.waiting)
    assert sum(one["events"] for one in report.as_dict()["waiting"]) == 40


def test_what_retention_removed_unread_is_counted_and_fails_the_audit(log: Log) -> None:
    meter = log.worker("meter", slot="1")
    log.send_numbers(list(range(50)), "one")
    log.wait_read("meter")
    meter.kill()
    read = {
        p: max(page["last_offset"] for page in log.pages() if page["partition"] == p) + 1 for p in range(PARTITIONS)
    }
    log.send_numbers(list(range(50, 150)), "one")
    for future in log.admin.delete_records([TopicPartition(EVENTS, p, end + 5) for p, end in read.items()]).values():
        future.result(30)
    meter = log.worker("meter", slot="1")
    log.wait_read("meter")
    meter.kill()
    lost = {(f"page {p['partition']}@[{p['first_offset']},{p['last_offset']}]", p["lost"]) for p in log.pages()}
    out = log.folder / "audit.json"
    code, printed = log.command("--json", "--out", str(out))
    assert code == 1, printed
    report = json.loads(out.read_text())
    assert report["version"] == 1 and not report["ok"]
    assert {(page["page"], page["offsets"]) for page in report["lost"]["pages"]} == {one for one in lost if one[1]}
    assert report["lost"]["offsets"] == 5 * PARTITIONS
    assert report["difference"] is None, report["difference"]
    code, printed = log.command()
    assert code == 1 and printed.count("LOST: page ") == PARTITIONS
