"""Alerts reach every endpoint at least once on real Kafka, whatever happens to another endpoint or to the sender."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from support.broker import broker, eventually
from support.ledger_desk import Desk, prepaid
from tokenmeter.events.contract import ALERTS
from tokenmeter.events.ledger import Alert
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port

EXAMPLES = Path(__file__).parent / "examples"
SECRET = {"TOKENMETER_WEBHOOK_SECRET": "shared"}


def made(*account_ids: str) -> list[Alert]:
    """Alerts as the ledger makes them."""
    desk = Desk(*(prepaid(name) for name in account_ids))
    return [one for name in account_ids for one in [*desk.post(desk.entry("GRANT", 10, name)), *desk.spend(12, name)]]


class Receiver(Child):
    """The example under a server."""

    def __init__(self, folder: Path, name: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/alerts"
        command = [sys.executable, "-m", "uvicorn", "receive_alerts:app", "--port", str(self.port)]
        super().__init__(name, command, folder / f"{name}.log", {**SECRET, "PYTHONPATH": str(EXAMPLES)})

    def taken(self) -> list[str]:
        try:
            found: list[dict[str, Any]] = httpx.get(self.url, timeout=2).json()
        except httpx.HTTPError:
            return []
        return [alert["alert_id"] for alert in found]


def write(bootstrap: str, alerts: list[Alert], commit: bool = True) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "test"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for alert in alerts:
        producer.produce(ALERTS, alert.to_value(), alert.account_id.encode())
    producer.flush(30)
    (producer.commit_transaction if commit else producer.abort_transaction)(30)


def test_an_endpoint_that_is_down_holds_back_no_other_and_misses_nothing(tmp_path: Path) -> None:
    first, second, never = made("a", "b"), made("c", "d"), made("e")
    up, down = Receiver(tmp_path, "up"), Receiver(tmp_path, "down")
    with broker(tmp_path) as kafka:
        command = [sys.executable, "-m", "tokenmeter.cli.app", "alerts", "--webhook", up.url, "--webhook", down.url]
        env = {**os.environ, **SECRET, "TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap}
        sender = Child("alerts", command, tmp_path / "alerts.log", env)
        try:
            up.start()
            write(kafka.bootstrap, first)
            write(kafka.bootstrap, never, commit=False)
            sender.start()
            eventually(f"the living gets all; {sender.log}", lambda: len(up.taken()) == len(first))
            sender.kill()
            write(kafka.bootstrap, second)
            down.start()
            sender.start()
            wanted = {alert.alert_id for alert in first + second}
            for receiver in (up, down):
                eventually(f"{receiver.name} gets the rest; {sender.log}", lambda r=receiver: {*r.taken()} >= wanted)
                assert {*receiver.taken()} == wanted
            order = {alert.alert_id: place for place, alert in enumerate(first + second)}
            for name in "abcd":
                of_account = {alert.alert_id for alert in first + second if alert.account_id == name}
                places = [order[one] for one in down.taken() if one in of_account]
                assert places == sorted(places)
        finally:
            for child in (sender, up, down):
                child.kill()
