"""Fault (X01): a producer with librdkafka's default partitioner, then the same events by murmur2, and some that
only the first one sends. Invariant: each event is counted once, the others are quarantined as misrouted, every place
says so, and a retry sends to its own partition what was not counted, once.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from support import oracle
from support.broker import read_all
from support.world import World
from tokenmeter.audit import AuditReport
from tokenmeter.events import UsageEvent, decode, encode
from tokenmeter.events.contract import EVENTS
from tokenmeter.kafka.partitioner import partition_of
from tokenmeter.ops.quarantine.release import Releaser
from tokenmeter.ops.quarantine.retry import Choice, counted_in, retry

PARTITIONS, BOTH, ONE_ONLY = 4, 400, 60


def send(world: World, events: list[UsageEvent], partitioner: str) -> None:
    values = [(one.customer_id, encode("usage_event", one.to_record())) for one in events]
    world.produce(values, partitioner=partitioner)


def settle(world: World) -> AuditReport:
    """The audit's word once all is metered and loaded."""
    world.wait_read("meter")
    world.wait_read("load")
    report = world.audit(processes=1)
    assert report.ok, report.difference
    return report


def test_events_of_another_partitioner_are_counted_once_and_sent_to_where_they_belong(tmp_path: Path) -> None:
    with World.begun(tmp_path, PARTITIONS, clickhouse=True) as world:
        for kind in ("meter", "load"):
            world.worker(kind)
        misroute(world)


def misroute(world: World) -> None:
    both, one_only = oracle.made(0, BOTH), oracle.made(BOTH, ONE_ONLY)
    send(world, [*both, *one_only], "consistent_random")
    send(world, both, "murmur2_random")
    places = [
        (record.partition, decode(record.value).record["customer_id"]) for record in read_all(world.bootstrap, EVENTS)
    ]
    strays = sum(partition_of(customer, PARTITIONS) != partition for partition, customer in places)
    assert strays > 200, "another partitioner puts most elsewhere"

    report = settle(world)
    assert (report.misrouted, report.quarantined, report.events + report.duplicates) == (strays, strays, 860 - strays)
    assert any(line.startswith(f"MISROUTED: {strays} events") for line in report.lines())
    assert set(oracle.counted(world.bootstrap).values()) == {1}
    stored = world.store.query("SELECT reason, count() FROM tokenmeter.quarantine FINAL GROUP BY 1").result_rows
    assert dict(stored) == {"misrouted": strays}

    missing = {one.customer_id for one in both + one_only} - set(oracle.counted(world.bootstrap))
    assert missing, "some are on no partition of theirs"
    counted = counted_in(world.client, world.store)
    chosen = Choice(reasons=frozenset({"misrouted"}))
    outcome = retry(world.client, chosen, counted, Releaser(world.client))
    assert outcome.released == len(missing)
    assert Counter(one.verdict for one in outcome.verdicts) == {"send": len(missing), "counted": strays - len(missing)}
    settle(world)
    assert oracle.counted(world.bootstrap) == dict.fromkeys((one.customer_id for one in both + one_only), 1)
    assert retry(world.client, chosen, counted, Releaser(world.client)).released == 0
