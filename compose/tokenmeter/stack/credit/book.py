"""Writes an entry and waits until the ledger has judged it: booked, known already, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, Producer

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import ALERTS, LEDGER
from tokenmeter.events.errors import Fatal
from tokenmeter.events.groups import LEDGERS
from tokenmeter.events.ledger import AccountState, Alert, LedgerEntry
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.positions import wait_past
from tokenmeter.stack.credit.read import alerts_since, entries_in, state_in

DELIVERY_S = 30.0
LOOK_EVERY_S = 0.05


class NotBooked(Fatal):
    """The entry is on the topic, but no ledger has booked it in time."""


@dataclass(frozen=True)
class Booked:
    """``state`` is the account's after the entry; ``refusal`` is the alert that names it, ``repeated``: it had counted
    before."""

    state: AccountState | None
    refusal: Alert | None
    repeated: bool


def book(client: Mapping[str, Any], entry: LedgerEntry, wait_s: float) -> Booked:
    """Write ``entry``; returns what the ledger made of it. NotBooked when it has not within ``wait_s``: the entry
    is on the topic then, and the same id may be written again without harm."""
    log = KafkaLogReader(client)
    ends = [log.end(ALERTS, partition) for partition in range(log.partitions(ALERTS))]
    partition, offset, appended_at_ms = _write(client, entry)
    _judged(client, partition, offset, wait_s)
    told = [alert for number, start in enumerate(ends) for alert in alerts_since(log, number, start)]
    place = (LEDGER, partition, offset)
    refusal = next(
        (one for one in told if (one.topic, one.partition, one.first_offset) == place and _is_refusal(one)), None
    )
    state = state_in(log, partition, entry.account_id)
    counted = () if state is None else [one for one in state.entries if one.entry_id == entry.entry_id]
    counted_at_ms = [round(one.at.timestamp() * 1_000) for one in counted]
    repeated = refusal is None and any(
        at_ms < appended_at_ms or came_before(log, entry, partition, offset, at_ms) for at_ms in counted_at_ms
    )
    return Booked(state, refusal, repeated)


def came_before(log: KafkaLogReader, entry: LedgerEntry, partition: int, offset: int, at_ms: int) -> bool:
    """Whether the same id stands before ``offset`` already, appended at ``at_ms`` or later: of two within a millisecond
    the first counted."""
    start = log.offset_at(LEDGER, partition, at_ms)
    return start is not None and any(
        one.entry_id == entry.entry_id for one in entries_in(log, entry.account_id, partition, start, offset)
    )


def _is_refusal(alert: Alert) -> bool:
    return alert.kind in ("conflict", "invalid")


def _write(client: Mapping[str, Any], entry: LedgerEntry) -> tuple[int, int, int]:
    """(partition, offset, append time in ms) of the record."""
    producer = Producer(
        {
            **SILENT,
            **client,
            "partitioner": "murmur2_random",  # of the meter: all entries of an account are on one partition
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": int(DELIVERY_S * 1_000),
            "log_level": 2,
        }
    )
    done: list[tuple[Any, Any]] = []
    producer.produce(LEDGER, entry.to_value(), entry.account_id.encode(), on_delivery=lambda *told: done.append(told))
    producer.flush(DELIVERY_S + 5)
    if not done or done[0][0] is not None:
        why = done[0][0].str() if done else "Kafka does not answer"
        raise Fatal(
            f"entry {entry.entry_id} may not have been written: {why}", hint=f"run it again with --id {entry.entry_id}"
        )
    message = done[0][1]
    return int(message.partition()), int(message.offset()), int(message.timestamp()[1])


def _judged(client: Mapping[str, Any], partition: int, offset: int, wait_s: float) -> None:
    """Wait until the ledger's position is behind ``offset``: it moves with state and alerts."""
    try:
        behind = wait_past(client, LEDGERS.id, {(LEDGER, partition): offset + 1}, wait_s, LOOK_EVERY_S)
    except KafkaException as error:
        raise Fatal(f"the ledger's position cannot be read: {error.args[0].str()}") from error
    if behind is not None:
        raise NotBooked(
            f"the entry is on {LEDGER}/{partition}@{offset}, but the ledger has not booked it in {wait_s:g} s",
            hint="tokenmeter status: a ledger must run",
        )
