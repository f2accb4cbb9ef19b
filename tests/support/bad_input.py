"""Good and bad values sent to a real meter, and the one check of what became of each.

Every good event has a customer of its own, so that a row under another customer shows; every bad value must lie on
usage.quarantine with its bytes, its position and its reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from support.broker import read_all, stamped_by_producers
from support.outcome import Outcome
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.events import decode
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import BILLING, EVENTS, PAGES, QUANTITY_FIELDS, QUARANTINE, RELEASED

EXAMPLES_MAX = 3


@dataclass(frozen=True)
class Sent:
    """One value on its way; ``record`` is what must be metered of it, ``reason`` why it must not be, or neither for a
    repeat. ``created_ms`` is the producer's own clock."""

    key: str
    value: bytes
    record: dict[str, Any] | None = None
    reason: str | None = None
    created_ms: int = 0


@dataclass
class Bench:
    """A meter by ``spec``; what was sent is remembered."""

    world: World
    spec: dict[str, Any]
    created_time: bool = False
    sent: list[Sent] = field(default_factory=list)
    recover_s: list[float] = field(default_factory=list)

    def start(self, **spec: Any) -> WorkerProcess:
        return self.world.worker("meter", **{**self.spec, **spec})

    def send(self, values: Iterable[Sent]) -> None:
        """Hand them to Kafka in order and have them acknowledged."""
        producer = Producer(
            {
                **SILENT,
                **self.world.client,
                "partitioner": "murmur2_random",
                "message.max.bytes": 2 << 20,
                "enable.idempotence": True,
                # The meter takes one time for a producer's batch, as a topic stamped by the broker has it.
                **({"batch.num.messages": 1} if self.created_time else {}),
            }
        )
        for one in values:
            producer.produce(EVENTS, one.value, one.key.encode(), timestamp=one.created_ms)
            self.sent.append(one)
        assert producer.flush(60) == 0

    def wait(self) -> None:
        """Until the meter has committed everything; the time it took is noted."""
        began = time.monotonic()
        self.world.wait_read("meter")
        self.recover_s.append(time.monotonic() - began)

    def outcome(self, injected: int) -> Outcome:
        found = check(self.world.bootstrap, self.sent)
        good = sum(one.record is not None for one in self.sent)
        return Outcome(injected, good, *found, recover_s=tuple(self.recover_s))


@contextmanager
def bench(folder: Path, *, created_time: bool = False, **spec: Any) -> Iterator[Bench]:
    """A broker of its own; ``spec`` as in support.worker_main. ``created_time``: the mutant of the topic, on which
    an event's time of arrival is whatever its producer says."""
    with World.begun(folder) as world:
        if created_time:
            stamped_by_producers(world.bootstrap, EVENTS)
        yield Bench(world, spec, created_time)


def check(bootstrap: str, sent: list[Sent]) -> tuple[int, int, tuple[str, ...]]:
    """(lost, doubled, what else is wrong), by sets of customers, exact figures and exact bytes."""
    wanted = {one.key: one.record for one in sent if one.record is not None}
    counted: dict[str, Counter[str]] = {}
    for record in read_all(bootstrap, BILLING):
        line = decode(record.value).record
        counted.setdefault(line["customer_id"], Counter()).update(
            {name: line[name] for name in ("events", *QUANTITY_FIELDS)}
        )
    wrong = [*_figures(wanted, counted), *_kept(bootstrap, sent), *_pages(bootstrap, len(sent), len(wanted))]
    doubled = sum(counts["events"] > 1 for counts in counted.values())
    return len(wanted.keys() - counted.keys()), doubled, tuple(wrong)


def _figures(wanted: dict[str, dict[str, Any]], counted: dict[str, Counter[str]]) -> Iterator[str]:
    if strangers := sorted(counted.keys() - wanted.keys()):
        yield f"metered without being usable: {len(strangers)}, e.g. {strangers[0]}"
    for customer in wanted.keys() & counted.keys():
        expected = {name: wanted[customer][name] for name in QUANTITY_FIELDS}
        if expected != {name: counted[customer][name] for name in QUANTITY_FIELDS}:
            yield f"{customer} has figures that are not its own"


def _kept(bootstrap: str, sent: list[Sent]) -> Iterator[str]:
    log = {(record.partition, record.offset): record.value for record in read_all(bootstrap, EVENTS)}
    kept = [decode(record.value).record for record in read_all(bootstrap, QUARANTINE)]
    kept = [one for one in kept if one["reason"] != RELEASED]
    expected = Counter((one.value, one.reason) for one in sent if one.reason is not None)
    found = Counter((one["value"], one["reason"]) for one in kept)
    for name, difference in (("not in quarantine", expected - found), ("wrongly in quarantine", found - expected)):
        if difference:
            reasons = sorted({str(reason) for _, reason in difference})
            yield f"{name}: {sum(difference.values())} values ({', '.join(reasons[:EXAMPLES_MAX])})"
    if any(log.get((one["partition"], one["offset"])) != one["value"] for one in kept):
        yield "a quarantined value is not the one at its position"


def _pages(bootstrap: str, sent: int, usable: int) -> Iterator[str]:
    pages = [decode(record.value).record for record in read_all(bootstrap, PAGES)]
    totals = {name: sum(page[name] for page in pages) for name in ("events_in", "events", "duplicates", "quarantined")}
    if totals["events_in"] != sent or totals["events"] != usable:
        yield f"pages say {totals}, sent {sent}, usable {usable}"
    if totals["events_in"] != totals["events"] + totals["duplicates"] + totals["quarantined"]:
        yield f"pages do not add up: {totals}"
