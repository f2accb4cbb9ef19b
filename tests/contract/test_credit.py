"""``tokenmeter credit`` on real Kafka: an entry is booked once, and its maker is told what the ledger made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support import owed
from support.broker import broker
from support.ledger_desk import prepaid
from support.workers import WorkerProcess
from tokenmeter.events.errors import Fatal
from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.flow.logreader import KafkaLogReader
from tokenmeter.stack.cli import app
from tokenmeter.stack.credit.book import Booked, book
from tokenmeter.stack.credit.make import entry
from tokenmeter.stack.credit.read import states

WAIT_S = 60.0


def grant(amount: int, entry_id: str) -> LedgerEntry:
    return entry("acme", EntryKind.GRANT, entry_id, datetime.now(UTC), "test", amount=Decimal(amount), currency="EUR")


def test_an_entry_by_hand_is_booked_once_and_its_maker_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(tmp_path) as kafka:
        client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
        owed.publish(kafka.bootstrap, [prepaid("acme", currency="EUR")])
        with pytest.raises(Fatal, match="has not booked it"):
            book(client, grant(10, "g-1"), 1.0)  # no ledger runs: the entry waits on the topic
        assert states(KafkaLogReader(client)) == {}
        ledger = WorkerProcess(tmp_path, "ledger", "ledger", kafka.bootstrap, slot="1")
        try:
            again, other, new = (
                book(client, made, WAIT_S) for made in (grant(10, "g-1"), grant(11, "g-1"), grant(5, "g-2"))
            )
            assert (again.repeated, again.refusal, _balance(again)) == (True, None, 10)
            assert other.refusal is not None and other.refusal.kind == "conflict" and _balance(other) == 10
            assert (new.repeated, new.refusal, _balance(new)) == (False, None, 15)
            monkeypatch.setenv("TOKENMETER_KAFKA_BOOTSTRAP", kafka.bootstrap)
            ran = CliRunner().invoke(app, ["credit", "adjust", "acme", "-2.5", "--note", "goodwill"])
            assert ran.exit_code == 0, ran.output
            assert "acme: balance 12.5 EUR, used 2.5 of 15, allowed" in ran.output
            ran = CliRunner().invoke(app, ["credit", "void", "acme", "g-1"])
            assert "acme: balance 2.5 EUR" in ran.output, ran.output
        finally:
            ledger.kill()


def _balance(booked: Booked) -> Decimal | None:
    return None if booked.state is None else booked.state.balance
