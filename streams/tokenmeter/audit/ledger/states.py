"""The audit of one partition of ledger.entries: every account booked again, and compared with account.state.

Judged is what the ledger says it has booked: the entries before its committed position, or before the newest page whose
states are there. Later ones are left for the next audit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from tokenmeter.audit.blocks import Block, cut
from tokenmeter.audit.catalog import kept as kept_catalog
from tokenmeter.audit.compare import Difference
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.ledger.book import Book
from tokenmeter.audit.ledger.expiries import Expiries
from tokenmeter.audit.ledger.journal import Journal
from tokenmeter.audit.ledger.stated import difference
from tokenmeter.audit.ledger.windows import TermsBook
from tokenmeter.audit.sources import KafkaTopics, wait_loaded
from tokenmeter.events import wire
from tokenmeter.events.contract import ACCOUNT_STATE, LEDGER, versions
from tokenmeter.events.errors import Poison
from tokenmeter.store.statement import sql

STATE = "account_state"
STORED_AT_ONCE = 10_000
BLOCK_ENTRIES = 100_000
"""Booked at once: the more, the more charges of an account are added up (12 us an entry with 8 000)."""

State = Mapping[str, Any]


@dataclass(frozen=True)
class StatesTask:
    """One partition of ledger.entries, ``position`` the ledger's on it, ``expiries`` the partition's. ``catalog_path``
    has the catalog, ``appended_ms`` when each of its rows was written."""

    partition: int
    position: int
    catalog_path: Path
    appended_ms: Mapping[int, int]
    expiries: Expiries


@dataclass
class StatesReport:
    """What was compared; ``difference`` is the first account's that has one, by name."""

    accounts: int = 0
    notes: list[str] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    difference: Difference | None = None


def audit_states(kafka: KafkaTopics, client: Client | None, task: StatesTask) -> StatesReport:
    """Book the partition again and compare."""
    report, partition = StatesReport(), task.partition
    place = f"{LEDGER}/{partition}"
    states, last = read_states(kafka.read(ACCOUNT_STATE, partition), partition, report.foreign)
    end = max([task.position, *(state["next_offset"] for state in states.values())])
    if end == 0:
        report.notes.append(f"{place}: no ledger has booked anything yet: account states were not compared")
        return report
    terms = TermsBook(kept_catalog(task.catalog_path).rows, task.appended_ms)
    books = book_again(kafka.read(LEDGER, partition), end, states, terms, task.expiries)
    for account_id in sorted({*books, *states}):
        rows = terms.accounts.get(account_id, [])
        report.difference = difference(account_id, books.get(account_id), states.get(account_id), rows)
        if report.difference is not None:
            return report
        report.accounts += 1
    if client is not None:
        report.difference = next(_stored(client, states), None)
        if report.difference is not None:  # unless it is only behind
            wait_loaded(kafka, {(ACCOUNT_STATE, partition): last})
            report.difference = next(_stored(client, states), None)
    return report


def read_states(
    blocks: Iterator[Block], partition: int = 0, foreign: list[Foreign] | None = None
) -> tuple[dict[str, State], int]:
    """The newest state of each account, and the offset of the last record. What is none goes to ``foreign``."""
    newest: dict[bytes, tuple[int, bytes]] = {}
    last, prefixes = -1, tuple(wire.prefix(schema) for schema in versions(STATE))
    strangers = [] if foreign is None else foreign
    states: dict[str, State] = {}
    for block in blocks:
        for value, offset in zip(block.values, block.offsets.tolist(), strict=True):
            if value is None:
                continue
            if value.startswith(prefixes):
                newest[_head(value)] = offset, value
            else:
                strangers.append(Foreign(ACCOUNT_STATE, partition, offset, STATE, "schema"))
        last = int(block.offsets[-1])
    for offset, value in newest.values():
        try:
            state = wire.decode(value, expect=STATE).record
        except Poison as poison:
            strangers.append(Foreign(ACCOUNT_STATE, partition, offset, STATE, poison.reason))
        else:
            states[state["account_id"]] = state
    return states, last


def _head(value: bytes) -> bytes:
    """The account's name with its length, which a state begins with: most states are old and need no decoding."""
    size, shift, at = 0, 0, wire.PREFIX_BYTES
    for byte in value[at : at + 5]:
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value[: at + (size >> 1)]


def book_again(
    blocks: Iterator[Block],
    end: int,
    states: Mapping[str, State],
    terms: TermsBook,
    expiries: Expiries,
) -> dict[str, Book]:
    """The books of all accounts after every entry before offset ``end``."""

    def opened(account_id: str) -> Book:
        state = states.get(account_id)
        rows = terms.accounts.get(account_id)
        own = rows[0].currency if rows else "USD"
        currency = own if state is None else state["currency"]
        return Book(currency, terms.budgets(account_id, currency), expiries.get(account_id, ()))

    journal = Journal(opened, terms.unsure_ms)
    for block in cut(blocks, [(0, end - 1)], BLOCK_ENTRIES):
        booked = int(np.searchsorted(block.offsets, end))
        journal.add(block.part(0, booked))
        if booked < len(block):
            break
    for book in journal.books.values():
        book.end(journal.clock_ms)
    return journal.books


def _stored(client: Client, states: Mapping[str, State]) -> Iterator[Difference]:
    """Where ClickHouse says something else of an account; one that is newer there is left out."""
    statement = sql("account_states", "tokenmeter.audit")
    names = sorted(states)
    for begin in range(0, len(names), STORED_AT_ONCE):
        accounts = names[begin : begin + STORED_AT_ONCE]
        rows = client.query(statement, parameters={"accounts": accounts}).named_results()
        stored = {row["account_id"]: row for row in rows}
        for account_id in accounts:
            state, row = states[account_id], stored.get(account_id)
            if row is None:
                yield Difference(f"account {account_id}", "record", ACCOUNT_STATE, "a state", "ClickHouse", "no row")
            elif row["next_offset"] <= state["next_offset"]:
                for name, found in row.items():
                    if found != state[name]:
                        place = "ClickHouse account_states"
                        yield Difference(f"account {account_id}", name, ACCOUNT_STATE, state[name], place, found)
