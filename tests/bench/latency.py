"""``python -m bench.latency``: from an event's send to its line on usage.billing and to the alert it causes, loaded.

Ten marked events a second travel with the load, each the first call of a prepaid customer that has next to no credit,
and no more has the distributor above it: both are alerted. Meter, ledger and loader run beside it as a user runs them.
Both topics are read committed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from confluent_kafka import Consumer, Producer
from rich.console import Console

from bench.book import EPOCH, publish
from bench.kept import keep
from bench.preload import POOL_EVENTS, ids, pool
from support.broker import broker, eventually
from support.clickhouse import Server
from tokenmeter.emit.client import direct
from tokenmeter.events.catalog import Account
from tokenmeter.events.catalog_row import AccountMode, CatalogRow
from tokenmeter.events.contract import ALERTS, BILLING, EVENTS
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

PARTITIONS = 4
MARK, ABOVE = b"m-", b"d-"
"""What the names of marked customers, and of the distributors above them, begin with."""
MARKS_PER_S = 10
MARKS_MAX = 600
CREDIT = Decimal("0.000001")
SEEN = {BILLING: (BILLING, MARK), ALERTS: (ALERTS, MARK), "alerts of distributors": (ALERTS, ABOVE)}
"""What is measured: a topic, and whose records on it."""
BUFFER_EVENTS = 2_000_000
SEND_PAUSE_S = 0.005
READ_WAIT_S = 0.02
ARRIVE_S = 30.0
WARM_UP, MEASURED = 1, 2
"""Seeds of the event ids: an id that comes twice is a repeat and reaches no line."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from send to read on a topic, of ``marks`` events among ``events``."""

    topic: str
    rate: int
    events: int
    marks: int
    p50_ms: int
    p90_ms: int
    p99_ms: int
    max_ms: int


class Reader(threading.Thread):
    """When each mark was first seen on a topic, by the number of the mark."""

    def __init__(self, bootstrap: str, name: str) -> None:
        super().__init__(daemon=True)
        settings = {"group.id": f"latency-{name}", "auto.offset.reset": "latest", "enable.auto.commit": False}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "isolation.level": "read_committed", **settings})
        self.name = name
        self.topic, self._prefix = SEEN[name]
        self.ready, self.done = threading.Event(), threading.Event()
        self.seen: dict[bytes, float] = {}

    def run(self) -> None:
        self._consumer.subscribe([self.topic], on_assign=lambda consumer, partitions: self.ready.set())
        while not self.done.is_set():
            for message in self._consumer.consume(5_000, READ_WAIT_S):
                key = message.key() or b""
                if message.error() is None and key.startswith(self._prefix):
                    self.seen.setdefault(key.removeprefix(self._prefix), time.monotonic())
        self._consumer.close()


def send(bootstrap: str, rate: int, seconds: float, seed: int) -> tuple[int, dict[bytes, float]]:
    """Send at ``rate`` events a second as an Emitter does; returns how many, and when each mark was sent."""
    producer = Producer(direct(bootstrap, BUFFER_EVENTS, {}))
    templates, names = pool(), iter(list(ids(2 * int(rate * seconds) + rate, seed)))
    customer = templates[0][0]
    marks: dict[bytes, float] = {}
    sent, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            key, before, after = templates[sent % POOL_EVENTS]
            producer.produce(EVENTS, before + next(names) + after, key)
            sent += 1
        if len(marks) < min(passed * MARKS_PER_S, MARKS_MAX):
            # A customer of its own, of the same length, so that the rest of the value stays as it is.
            name = mark(seed, len(marks)).encode()
            assert len(name) == len(customer)
            _, before, after = templates[0]
            marks[name.removeprefix(MARK)] = time.monotonic()
            producer.produce(EVENTS, before + next(names) + after.replace(customer, name, 1), name)
        producer.poll(0)
        time.sleep(SEND_PAUSE_S)
    assert producer.flush(60) == 0
    return sent, marks


def mark(seed: int, number: int) -> str:
    """The name of a marked customer."""
    return f"{MARK.decode()}{seed}{number:06d}"


def poor() -> Iterator[CatalogRow]:
    """The marked customers' accounts, and those above them."""
    for seed in (WARM_UP, MEASURED):
        for number in range(MARKS_MAX):
            name = mark(seed, number)
            above = name.replace(MARK.decode(), ABOVE.decode())
            terms: Any = {"effective_from": EPOCH, "mode": AccountMode.PREPAID, "credit_limit": CREDIT}
            yield Account(account_id=above, **terms)
            yield Account(account_id=name, parent_id=above, **terms)


@contextmanager
def stack(folder: Path) -> Iterator[str]:
    """Kafka, ClickHouse, a meter and a loader with their default settings, and the bench's catalog."""
    server = Server(folder)
    children: list[Child] = [server.child]
    with broker(folder, PARTITIONS) as kafka:
        try:
            server.start()
            migrate(connect(server.url, "writer", "secret"))
            publish(kafka.bootstrap, poor())
            env = {"TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap, "TOKENMETER_CLICKHOUSE_URL": server.url}
            env |= {"TOKENMETER_CLICKHOUSE_USER": "writer", "TOKENMETER_CLICKHOUSE_PASSWORD": "secret"}
            for verb in ("meter", "ledger", "load"):
                command = [sys.executable, "-m", "tokenmeter.cli.app", verb, "--port", str(free_port())]
                child = Child(verb, [*command, "--data", str(folder / verb)], folder / f"{verb}.log", env)
                child.start()
                children.append(child)
            yield kafka.bootstrap
        finally:
            for child in children:
                child.kill()


def measure(rate: int, seconds: float) -> list[Latency]:
    """Warm up for five seconds at the same rate, then measure, for each of SEEN."""
    with tempfile.TemporaryDirectory(prefix="tokenmeter-latency-") as name, stack(Path(name)) as bootstrap:
        readers = [Reader(bootstrap, name) for name in SEEN]
        for reader in readers:
            reader.start()
            assert reader.ready.wait(60)
        command = [sys.executable, "-m", "bench.latency", "--only-send", bootstrap, "--rate", str(rate)]
        subprocess.run([*command, "--seconds", "5"], check=True)
        sent, marks = send(bootstrap, rate, seconds, MEASURED)
        for reader in readers:
            seen = reader.seen
            eventually(f"every mark arrives: {reader.name}", lambda seen=seen: marks.keys() <= seen.keys(), ARRIVE_S)
            reader.done.set()
            reader.join()
    return [_figures(reader, rate, sent, marks) for reader in readers]


def _figures(reader: Reader, rate: int, sent: int, marks: dict[bytes, float]) -> Latency:
    waits = sorted(round(1_000 * (reader.seen[mark] - at)) for mark, at in marks.items())

    def share(part: float) -> int:
        return waits[min(len(waits) - 1, int(len(waits) * part))]

    return Latency(reader.name, rate, sent, len(waits), share(0.5), share(0.9), share(0.99), waits[-1])


def show(console: Console, found: list[Latency]) -> None:
    for one in found:
        console.print(
            f"event to {one.topic} at {one.rate:,} events/s: p50 {one.p50_ms} ms, p90 {one.p90_ms}, p99 {one.p99_ms}, "
            f"worst {one.max_ms} ({one.marks} marks among {one.events:,} events)",
            highlight=False,
            soft_wrap=True,
        )


def main(
    rate: Annotated[int, typer.Option(help="events a second", min=1)] = 20_000,
    seconds: Annotated[float, typer.Option(help="how long", min=1)] = 30,
    only_send: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure event to billing line under steady load, ClickHouse loading beside it."""
    if only_send is not None:
        send(only_send, rate, seconds, WARM_UP)
        return
    found = measure(rate, seconds)
    show(Console(), found)
    Console().print(f"kept in {keep('latency', {one.topic: asdict(one) for one in found})}")


if __name__ == "__main__":
    typer.run(main)
