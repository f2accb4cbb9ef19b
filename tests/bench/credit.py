"""``python -m bench.credit``: what a runaway customer spends beyond its credit before it is stopped.

A prepaid customer calls a thousand times a second through a gateway that asks a CreditCache before each call. Meter and
ledger run as a user runs them. The call that uses up the credit is the crossing; everything is counted from there.
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
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from bench.book import EPOCH, publish
from bench.kept import keep
from support.broker import broker, eventually, read_all
from tokenmeter.emit.credit import CreditCache
from tokenmeter.events import UsageEvent, decode, encode
from tokenmeter.events.catalog import Account, Price
from tokenmeter.events.catalog_row import AccountMode
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, CATALOG, EVENTS, LEDGER
from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port

PARTITIONS = 4
MODEL = "bench/runaway"
INPUT_TOKENS = 10_000
TOKEN_USD = Decimal("0.000001")
CALL_USD = INPUT_TOKENS * TOKEN_USD
STILL_REFUSED_S = 1.0
"""How long the customer goes on trying after the first refusal."""
STOPPED_WITHIN_S = 60.0
TURN_S = 20.0
"""What a customer takes beside using its credit up: for so long there is load."""
READ_WAIT_S = 0.01


@dataclass(frozen=True)
class Overspend:
    """From the call that used up the credit: when the alert was on the topic, when the last call was let through."""

    alert_ms: int
    last_call_ms: int
    calls: int
    usd: Decimal


class Alerts(threading.Thread):
    """When the alert that all of an account's credit is used was first read, committed, by account."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        settings = {"group.id": "bench-credit", "enable.auto.commit": False, "isolation.level": "read_committed"}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
        self.done = threading.Event()
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        self._consumer.assign([TopicPartition(ALERTS, partition, 0) for partition in range(PARTITIONS)])
        while not self.done.is_set():
            for message in self._consumer.consume(1_000, READ_WAIT_S):
                if message.error() is None:
                    alert = decode(message.value()).record
                    if alert["threshold_percent"] == 100 and alert["state"] == "OPEN":
                        self.seen.setdefault(alert["account_id"], time.monotonic())
        self._consumer.close()


class Runaway:
    """A customer with credit for ``paid_calls`` that calls for as long as it is let."""

    def __init__(self, bootstrap: str, name: str, paid_calls: int) -> None:
        self._name, self._paid_calls = name, paid_calls
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
            }
        )
        self.sent = 0
        self.crossed_at = self.last_at = 0.0

    def join(self) -> None:
        """Become a prepaid account with a grant."""
        row = Account(effective_from=EPOCH, account_id=self._name, mode=AccountMode.PREPAID)
        grant = LedgerEntry(
            account_id=self._name,
            entry_id=f"grant-{self._name}",
            kind=EntryKind.GRANT,
            amount=self._paid_calls * CALL_USD,
            made_at=datetime.now(UTC),
            made_by="bench",
        )
        self._producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
        assert self._producer.flush(30) == 0
        self._producer.produce(LEDGER, grant.to_value(), self._name.encode())
        assert self._producer.flush(30) == 0

    def run(self, cache: CreditCache, rate: int) -> None:
        """Call at ``rate`` a second, asking before each call, until refused; then see that it stays so."""
        began = time.monotonic()
        refused_at: float | None = None
        asked = 0
        while (now := time.monotonic()) < (refused_at or began + STOPPED_WITHIN_S + self._paid_calls / rate) + (
            STILL_REFUSED_S if refused_at else 0
        ):
            while asked < (now - began) * rate:
                asked += 1
                if cache.allowed(self._name, model=MODEL).allowed:
                    self._call()
                elif refused_at is None:
                    refused_at = time.monotonic()
            self._producer.poll(0.0005)
        assert refused_at is not None, f"{self._name} was never refused"
        assert self._producer.flush(60) == 0

    def _call(self) -> None:
        self.last_at = time.monotonic()
        call = UsageEvent(
            event_id=f"{self._name}-{self.sent}",
            occurred_at=datetime.now(UTC),
            customer_id=self._name,
            model=MODEL,
            provider="bench",
            input_tokens=INPUT_TOKENS,
        )
        self._producer.produce(EVENTS, encode("usage_event", call.to_record()), self._name.encode())
        self.sent += 1
        if self.sent == self._paid_calls:
            self.crossed_at = self.last_at

    def overspend(self, alerted_at: float) -> Overspend:
        """What was spent beyond the credit."""
        calls = self.sent - self._paid_calls
        return Overspend(
            round((alerted_at - self.crossed_at) * 1_000),
            round((self.last_at - self.crossed_at) * 1_000),
            calls,
            calls * CALL_USD,
        )

    def is_booked(self, bootstrap: str) -> bool:
        """Whether the ledger has charged every call that was let through, and no other."""
        states = [
            decode(one.value).record for one in read_all(bootstrap, ACCOUNT_STATE) if one.key == self._name.encode()
        ]
        return bool(states) and states[-1]["balance"] == (self._paid_calls - self.sent) * CALL_USD


@contextmanager
def stack(folder: Path) -> Iterator[str]:
    """Kafka, a meter and a ledger with their default settings, and the catalog."""
    children: list[Child] = []
    with broker(folder, PARTITIONS) as kafka:
        try:
            publish(kafka.bootstrap)
            price = Price(effective_from=EPOCH, model=MODEL, input_tokens_price=TOKEN_USD)
            producer = Producer({"bootstrap.servers": kafka.bootstrap})
            producer.produce(CATALOG, price.to_value(), price.row_id.encode(), 0)
            assert producer.flush(30) == 0
            env = {"TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap}
            for verb in ("meter", "ledger"):
                command = [sys.executable, "-m", "tokenmeter.cli.app", verb, "--port", str(free_port())]
                child = Child(verb, [*command, "--data", str(folder / verb)], folder / f"{verb}.log", env)
                child.start()
                children.append(child)
            yield kafka.bootstrap
        finally:
            for child in children:
                child.kill()


def measure(rate: int, seconds: float, times: int, load: int) -> list[Overspend]:
    """One runaway customer after the other, each with credit for ``seconds`` of calls."""
    found = []
    with tempfile.TemporaryDirectory(prefix="tokenmeter-credit-") as name, stack(Path(name)) as bootstrap:
        alerts = Alerts(bootstrap)
        alerts.start()
        command = [sys.executable, "-m", "bench.latency", "--only-send", bootstrap, "--rate", str(load)]
        lasting = str(times * (seconds + TURN_S))
        others = subprocess.Popen([*command, "--seconds", lasting]) if load else None
        try:
            with CreditCache(bootstrap) as cache:
                for number in range(times):
                    name = f"runaway-{number}"
                    customer = Runaway(bootstrap, name, round(rate * seconds))
                    customer.join()
                    eventually(
                        f"{name} has credit",
                        lambda: cache.allowed(name) == (True, "ok", None),  # noqa: B023  # asked within the turn
                        STOPPED_WITHIN_S,
                    )
                    customer.run(cache, rate)
                    eventually(f"{name} is alerted", lambda: name in alerts.seen, STOPPED_WITHIN_S)  # noqa: B023
                    eventually(
                        f"{name} is charged exactly what was let through",
                        lambda: customer.is_booked(bootstrap),  # noqa: B023
                        STOPPED_WITHIN_S,
                        0.5,
                    )
                    found.append(customer.overspend(alerts.seen[name]))
        finally:
            alerts.done.set()
            alerts.join()
            if others is not None:
                others.kill()
                others.wait()
    return found


def main(
    rate: Annotated[int, typer.Option(help="calls a second of the runaway customer", min=1)] = 1_000,
    seconds: Annotated[float, typer.Option(help="for how long its credit lasts", min=1)] = 10,
    times: Annotated[int, typer.Option(help="customers, one after the other", min=1)] = 5,
    load: Annotated[int, typer.Option(help="events a second of other customers meanwhile", min=0)] = 0,
) -> None:
    """Let customers run into the end of their credit, and print what each spent beyond it."""
    found = measure(rate, seconds, times, load)
    title = f"{rate:,} calls/s at {CALL_USD.normalize():f} USD, {load:,} events/s of others; since credit was used up"
    table = Table("customer", "alert on the topic ms", "last call let through ms", "calls too many", "USD", title=title)
    for number, one in enumerate(found):
        table.add_row(str(number), f"{one.alert_ms:,}", f"{one.last_call_ms:,}", f"{one.calls:,}", f"{one.usd:.2f}")
    console = Console()
    console.print(table)
    worst = max(found, key=lambda one: one.calls)
    console.print(
        f"overspend at most {worst.calls:,} calls or {worst.usd:.2f} USD: "
        f"{worst.last_call_ms:,} ms of calls at {rate:,} a second; the ledger has charged every one"
    )
    kept = {"rate": rate, "load": load, "customers": [{**asdict(one), "usd": str(one.usd)} for one in found]}
    console.print(f"kept in {keep('credit', kept)}")


if __name__ == "__main__":
    typer.run(main)
