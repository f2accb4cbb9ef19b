"""Reads what the ledger wrote: the states of accounts, the journal of one account, alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, LEDGER
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.ledger import AccountState, Alert, LedgerEntry
from tokenmeter.flow.ledger import avro
from tokenmeter.kafka.logreader import LogReader


@dataclass(frozen=True)
class Placed:
    """An entry and where it stands on ledger.entries."""

    partition: int
    offset: int
    entry: LedgerEntry


def states(log: LogReader, account_id: str | None = None) -> dict[str, AccountState]:
    """The newest state of every account, or of one alone."""
    found: dict[str, AccountState] = {}
    for partition in range(log.partitions(ACCOUNT_STATE)):
        latest: dict[str, dict[str, Any]] = {}
        for _, record in _records(log, ACCOUNT_STATE, "account_state", partition, 0, _of(account_id)):
            latest[record["account_id"]] = record
        found |= {name: AccountState.model_validate(record) for name, record in latest.items()}
    return found


def state_in(log: LogReader, partition: int, account_id: str) -> AccountState | None:
    """The newest state of an account whose entries are on ``partition``."""
    latest = None
    for _, record in _records(log, ACCOUNT_STATE, "account_state", partition, 0, _of(account_id)):
        latest = record
    return None if latest is None else AccountState.model_validate(latest)


def journal(log: LogReader, account_id: str) -> list[Placed]:
    """All that ledger.entries has of one account, in its order; what was refused or repeated is there, too."""
    return [
        Placed(partition, offset, LedgerEntry.model_validate(record))
        for partition in range(log.partitions(LEDGER))
        for offset, record in _records(log, LEDGER, "ledger_entry", partition, 0, _of(account_id))
    ]


def entries_in(log: LogReader, account_id: str, partition: int, start: int, end: int) -> list[LedgerEntry]:
    """The entries of one account among start <= offset < end."""
    found = _records(log, LEDGER, "ledger_entry", partition, start, _of(account_id), end)
    return [LedgerEntry.model_validate(record) for _, record in found]


def alerts_since(log: LogReader, partition: int, start: int) -> list[Alert]:
    """The alerts of one partition from an offset on."""
    return [Alert.model_validate(record) for _, record in _records(log, ALERTS, "alert", partition, start, _all)]


def _all(value: bytes) -> bool:
    return True


def _of(account_id: str | None) -> Callable[[bytes], bool]:
    """Whether a value is of the account. Its id is the first field, so most need no decoding."""
    if account_id is None:
        return _all
    text = avro.text(account_id)
    return lambda value: value.startswith(text, wire.PREFIX_BYTES)


def _records(
    log: LogReader,
    topic: str,
    name: str,
    partition: int,
    start: int,
    wanted: Callable[[bytes], bool],
    end: int | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(offset, record) of each value that is wanted and of this kind; what is none is passed over.

    Fatal when a newer tokenmeter wrote it.
    """
    end = log.end(topic, partition) if end is None else end
    for batch in log.read(topic, partition, start, end):
        for offset, value in zip(batch.offsets().tolist(), batch.values, strict=True):
            if value is None or not wanted(value):
                continue
            try:
                yield offset, wire.decode(value, expect=name).record
            except Poison as error:
                if wire.is_newer(value):
                    raise Fatal(
                        f"{topic}/{partition}: offset {offset} was written by a newer tokenmeter: {error.detail}",
                        hint="upgrade this one first",
                    ) from error
