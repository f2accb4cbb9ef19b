"""Entries for a ledger that is about to be broken, and what must be true of its states and alerts afterwards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from support import owed
from support.broker import read_all
from support.ledger_desk import prepaid
from tokenmeter.events import decode
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, LEDGER
from tokenmeter.events.groups import LEDGERS
from tokenmeter.events.ledger import EntryKind, LedgerEntry, charge_id

ACCOUNTS = tuple(f"account-{number}" for number in range(12))
THRESHOLDS = (50, 80, 95, 100)
GRANTED = Decimal(100)
PARTITIONS = 2
KAFKA_S = 20.0


class Entries:
    """Writes entries, each tenth twice, and keeps what was written."""

    def __init__(self, bootstrap: str) -> None:
        owed.publish(bootstrap, [prepaid(name) for name in ACCOUNTS])
        settings = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
        settings |= {"log_level": 0}  # brokers go away on purpose
        self._producer = Producer(settings)
        # Uncommitted: a position that a dead ledger left in an open transaction must not keep the others from us.
        group = {**SILENT, "group.id": LEDGERS.id, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
        self._positions = Consumer({"bootstrap.servers": bootstrap, **group, "log_level": 2})
        self._bootstrap = bootstrap
        self._chance = random.Random(7)
        self.sent: dict[tuple[str, str], LedgerEntry] = {}
        self._write([self._entry(name, EntryKind.GRANT, f"grant-{name}", amount=GRANTED) for name in ACCOUNTS])

    def wave(self, amount: int | None = None) -> bool:
        """A charge of each account, and a grant that has counted already; True, for who waits meanwhile."""
        page = len(self.sent)
        charges = []
        for line, name in enumerate(ACCOUNTS):
            drawn = amount or self._chance.randrange(1, 5)
            placed = {"partition": 0, "first_offset": page, "last_offset": page, "line": line, "calls": 1}
            day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            entry_id = charge_id(0, page, line)
            made = self._entry(name, EntryKind.CHARGE, entry_id, amount=Decimal(-drawn), occurred_day=day, **placed)
            charges += [made] * (2 if line % 10 == 0 else 1)
        again = self._chance.choice(ACCOUNTS)
        self._write([*charges, self._entry(again, EntryKind.GRANT, f"grant-{again}", amount=GRANTED)])
        return True

    def booked(self) -> bool:
        """Whether the ledger has committed to the end."""
        ends = {}
        with suppress(KafkaException):  # a young broker does not know its groups yet
            for partition in range(PARTITIONS):
                one = TopicPartition(LEDGER, partition)
                ends[partition] = self._positions.get_watermark_offsets(one, KAFKA_S)[1]
            found = self._positions.committed([TopicPartition(LEDGER, partition) for partition in ends], KAFKA_S)
            return all(max(0, one.offset) >= ends[one.partition] for one in found)
        return False

    def _entry(self, name: str, kind: EntryKind, entry_id: str, **fields: Any) -> LedgerEntry:
        named = {"account_id": name, "entry_id": entry_id, "kind": kind}
        return LedgerEntry(**named, made_at=datetime.now(UTC), made_by="test", **fields)

    def _write(self, entries: Sequence[LedgerEntry]) -> None:
        for entry in entries:
            self._producer.produce(LEDGER, entry.to_value(), entry.account_id.encode())
            self.sent.setdefault((entry.account_id, entry.entry_id), entry)
        assert self._producer.flush(30) == 0

    def problems(self) -> list[str]:
        """What is wrong with the states and alerts that a reader sees, given what was written."""
        newest = {record.key: record.value for record in read_all(self._bootstrap, ACCOUNT_STATE)}
        states = [decode(value).record for value in newest.values()]
        balances = {state["account_id"]: state["balance"] for state in states}
        found = []
        for name in ACCOUNTS:
            total = sum(entry.amount or 0 for (of, _), entry in self.sent.items() if of == name)
            if balances.get(name) != total:
                found.append(f"balance of {name}: {balances.get(name)}, its entries add up to {total}")
        alerts = [decode(record.value).record for record in read_all(self._bootstrap, ALERTS)]
        ids = Counter(alert["alert_id"] for alert in alerts)
        found += [f"alert {one} is there {times} times" for one, times in ids.items() if times > 1]
        told = Counter((one["account_id"], one["threshold_percent"]) for one in alerts if one["kind"] == "threshold")
        for crossed in ((name, percent) for name in ACCOUNTS for percent in THRESHOLDS):
            if told[crossed] != 1:
                found.append(f"threshold {crossed[1]} % of {crossed[0]} was told {told[crossed]} times")
        return found
