"""Fault (X01): a producer with librdkafka's default partitioner, then the same events by murmur2, and some that
only the first one sends. Invariant: each event is counted once, the others are quarantined as misrouted, every place
says so, and a retry sends to its own partition what was not counted, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from support import oracle
from support.broker import broker, eventually, lag, read_all
from support.clickhouse import Server
from support.workers import WorkerProcess
from tokenmeter.audit import AuditOptions, AuditReport, AuditSources, run
from tokenmeter.events import UsageEvent, decode, encode
from tokenmeter.events.contract import BILLING, EVENTS, QUARANTINE
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.kafka.partitioner import partition_of
from tokenmeter.ops.quarantine.release import Releaser
from tokenmeter.ops.quarantine.retry import Choice, counted_in, retry
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

PARTITIONS, BOTH, ONE_ONLY = 4, 400, 60


class Rig:
    """A broker of PARTITIONS partitions, a ClickHouse, a meter and a loader."""

    def __init__(self, bootstrap: str, server: Server) -> None:
        self.client = {"bootstrap.servers": bootstrap}
        self.bootstrap, self.server = bootstrap, server
        self.store = connect(server.url, "writer", "secret")

    def send(self, events: list[UsageEvent], partitioner: str) -> None:
        producer = Producer({**self.client, "partitioner": partitioner})
        for one in events:
            producer.produce(EVENTS, encode("usage_event", one.to_record()), one.customer_id.encode())
        assert producer.flush(30) == 0

    def audit(self) -> AuditReport:
        sources = AuditSources(self.client, self.server.url, "writer", "secret", 15 * 60_000)
        return run(sources, AuditOptions(processes=1))

    def settle(self) -> AuditReport:
        """The audit's word once all is metered and loaded."""
        for group, topic in ((meter_app.APP_ID, EVENTS), (load_app.APP_ID, EVENTS), (load_app.APP_ID, QUARANTINE)):
            eventually(
                f"{group} has read {topic}",
                lambda group=group, topic=topic: lag(self.bootstrap, group, topic) <= PARTITIONS,
                120,
            )
        report = self.audit()
        assert report.ok, report.difference
        return report

    def metered(self) -> Counter[str]:
        """Events by customer on usage.billing."""
        found: Counter[str] = Counter()
        for record in read_all(self.bootstrap, BILLING):
            line = decode(record.value).record
            found[line["customer_id"]] += line["events"]
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    server = Server(tmp_path)
    server.start()
    workers = []
    try:
        with broker(tmp_path, PARTITIONS) as kafka:
            migrate(connect(server.url, "writer", "secret"))
            for kind in ("meter", "load"):
                workers.append(WorkerProcess(tmp_path, kind, kind, kafka.bootstrap, clickhouse_url=server.url))
            yield Rig(kafka.bootstrap, server)
    finally:
        for worker in workers:
            worker.kill()
        server.child.kill()


def test_events_of_another_partitioner_are_counted_once_and_sent_to_where_they_belong(rig: Rig) -> None:
    both, one_only = oracle.made(0, BOTH), oracle.made(BOTH, ONE_ONLY)
    rig.send([*both, *one_only], "consistent_random")
    rig.send(both, "murmur2_random")
    places = [
        (record.partition, decode(record.value).record["customer_id"]) for record in read_all(rig.bootstrap, EVENTS)
    ]
    strays = sum(partition_of(customer, PARTITIONS) != partition for partition, customer in places)
    assert strays > 200, "another partitioner puts most elsewhere"

    report = rig.settle()
    assert (report.misrouted, report.quarantined, report.events + report.duplicates) == (strays, strays, 860 - strays)
    assert any(line.startswith(f"MISROUTED: {strays} events") for line in report.lines())
    assert set(rig.metered().values()) == {1}
    stored = rig.store.query("SELECT reason, count() FROM tokenmeter.quarantine FINAL GROUP BY 1").result_rows
    assert dict(stored) == {"misrouted": strays}

    missing = {one.customer_id for one in both + one_only} - set(rig.metered())
    assert missing, "some are on no partition of theirs"
    counted = counted_in(rig.client, rig.store)
    chosen = Choice(reasons=frozenset({"misrouted"}))
    outcome = retry(rig.client, chosen, counted, Releaser(rig.client))
    assert outcome.released == len(missing)
    assert Counter(one.verdict for one in outcome.verdicts) == {"send": len(missing), "counted": strays - len(missing)}
    rig.settle()
    assert rig.metered() == dict.fromkeys((one.customer_id for one in both + one_only), 1)
    assert retry(rig.client, chosen, counted, Releaser(rig.client)).released == 0
