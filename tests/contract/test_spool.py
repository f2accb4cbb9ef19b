"""The SDK with a spool on real Kafka, which is taken away and brought back: durable, in order, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.broker import broker, read_all
from support.events import event
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Undelivered


def call(number: int) -> UsageEvent:
    at = datetime.now(UTC)
    return event(number, customer_id=f"cus_{number % 5}", occurred_at=at, source="", sequence=None)


def arrived(bootstrap: str) -> list[tuple[str, str, int]]:
    """(customer, event id, sequence) of each event's first arrival, partition by partition."""
    seen: dict[str, tuple[str, str, int]] = {}
    for record in read_all(bootstrap, EVENTS):
        found = decode(record.value).record
        seen.setdefault(found["event_id"], (found["customer_id"], found["event_id"], found["sequence"]))
    return list(seen.values())


def inversions(found: list[tuple[str, str, int]]) -> list[str]:
    """Customers whose events did not arrive in the order in which they were emitted."""
    order = defaultdict(list)
    for customer, _, sequence in found:
        order[customer].append(sequence)
    return [customer for customer, numbers in order.items() if numbers != sorted(numbers)]


def test_events_of_an_outage_arrive_behind_those_before_and_before_those_after(tmp_path: Path) -> None:
    told: list[str | None] = []
    with broker(tmp_path) as kafka:
        emitter = Emitter(kafka.bootstrap, spool=tmp_path / "spool")
        for number in range(50):
            emitter.emit(call(number), told.append)
        emitter.flush()
        assert emitter.stats.spooled == 0
        kafka.kill()
        for number in range(50, 150):
            emitter.emit(call(number), told.append)
        assert emitter.stats.spooled == 100
        with pytest.raises(Undelivered, match="100 events are still in the spool") as raised:
            emitter.flush(0.5)
        assert raised.value.count == 100
        kafka.start()
        for number in range(150, 200):
            emitter.emit(call(number), told.append)
        emitter.flush(60)
        emitter.close()
        assert (emitter.stats.accepted, emitter.stats.acknowledged, emitter.stats.spooled) == (200, 200, 0)
        assert told == [None] * 200
        found = arrived(kafka.bootstrap)
    assert {one[1] for one in found} == {f"event-{n:08d}" for n in range(200)}
    assert sorted(one[2] for one in found) == list(range(200))
    assert inversions(found) == []
