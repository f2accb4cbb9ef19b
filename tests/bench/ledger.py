"""``python -m bench.ledger``: entries a second of the ledger's core alone, on one core: decode, fold, close.

Pages of charges as the meter writes them: customers (of one partition of usage.events each) and distributors (of all
of them), prepaid and postpaid, a few with budgets; every tenth page brings payments too. No Kafka.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from bench.kept import keep
from tokenmeter.events.catalog import Account, Budget
from tokenmeter.events.catalog_row import AccountMode, BudgetScope, BudgetWindow
from tokenmeter.events.ledger import EntryKind, LedgerEntry, charge_id
from tokenmeter.flow.columns import columnar_avro
from tokenmeter.flow.ledger.entry import BUCKET_MS
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import MemoryTerms

BEGIN = datetime(2026, 11, 26, tzinfo=UTC)
BEGIN_MS = int(BEGIN.timestamp()) * 1_000
PARTITIONS = 16
PAGE_MS = 500
HOUR_PAGES = 12
DISTRIBUTORS = 20
PAYMENTS = 50
PREPAID_EVERY = 4
BUDGET_EVERY = 20


def _terms(accounts: int) -> MemoryTerms:
    prepaid = [
        Account(account_id=_name(n), mode=AccountMode.PREPAID, effective_from=BEGIN)
        for n in range(0, accounts, PREPAID_EVERY)
    ]
    budgets = [
        Budget(
            account_id=_name(number),
            scope=BudgetScope.ACCOUNT,
            scope_id=_name(number),
            window=BudgetWindow.MONTH,
            amount=Decimal(10_000),
            effective_from=BEGIN,
        )
        for number in range(0, accounts, BUDGET_EVERY)
    ]
    return MemoryTerms(prepaid, budgets)


def _name(number: int) -> str:
    return f"customer-{number:06}"


def _charges(chance: random.Random, page: int, entries: int, accounts: int) -> list[bytes]:
    """The charges of a page of the ledger: many small pages of the meter, each with its customers once."""
    numbers = [chance.randrange(accounts) for _ in range(entries)]
    partitions = [chance.randrange(PARTITIONS) if n < DISTRIBUTORS else n % PARTITIONS for n in numbers]
    amounts = [-chance.randrange(1, 10**9) for _ in numbers]
    firsts, lines = [page * entries] * entries, list(range(entries))
    frame = pl.DataFrame(
        {
            "account_id": [_name(n) for n in numbers],
            "entry_id": [charge_id(*at) for at in zip(partitions, firsts, lines, strict=True)],
            "kind": [EntryKind.CHARGE] * entries,
            "amount": pl.Series(amounts, dtype=pl.Int128),
            "currency": ["USD"] * entries,
            "occurred_day": [BEGIN_MS * 1_000] * entries,
            "partition": partitions,
            "first_offset": firsts,
            "last_offset": [(page + 1) * entries - 1] * entries,
            "line": lines,
            "calls": [3] * entries,
            "input_tokens": [1_500] * entries,
            "output_tokens": [300] * entries,
            "made_at": [BEGIN_MS * 1_000] * entries,
            "made_by": ["meter-0"] * entries,
        }
    )
    return columnar_avro.encode("ledger_entry", frame)


def _payments(chance: random.Random, page: int, accounts: int) -> Iterator[bytes]:
    for number in range(PAYMENTS):
        yield LedgerEntry(
            account_id=_name(chance.randrange(accounts // PREPAID_EVERY) * PREPAID_EVERY),
            entry_id=f"payment-{page}-{number}",
            kind=EntryKind.PAYMENT,
            amount=Decimal(50),
            made_at=BEGIN,
            made_by="bench",
        ).to_value()


def _opening(accounts: int) -> list[bytes]:
    """A payment of every account, so that all are known and have credit."""
    return [
        LedgerEntry(
            account_id=_name(n),
            entry_id=f"opening-{n}",
            kind=EntryKind.PAYMENT,
            amount=Decimal(100),
            made_at=BEGIN,
            made_by="bench",
        ).to_value()
        for n in range(accounts)
    ]


def _fold(ledger: Ledger, values: list[bytes], at_ms: int, offset: int) -> int:
    times = np.full(len(values), at_ms, np.int64)
    told, rejected = ledger.fold(values, times, np.arange(offset, offset + len(values)))
    assert not rejected
    return len(told)


def _hour_before(ledger: Ledger, chance: random.Random, entries: int, accounts: int, offset: int) -> int:
    """A page every five minutes, so that every account has an hour of burn and has been looked at once."""
    for page in range(HOUR_PAGES):
        values = _charges(chance, page, entries, accounts)
        _fold(ledger, values, BEGIN_MS + page * BUCKET_MS, offset)
        offset += len(values)
        ledger.close(offset)
    return offset


def main(
    entries: Annotated[int, typer.Option(help="entries in a page", min=1_000)] = 100_000,
    accounts: Annotated[int, typer.Option(help="accounts that they are of", min=100)] = 20_000,
    pages: Annotated[int, typer.Option(help="pages to measure", min=3)] = 20,
) -> None:
    """Measure fold and close, page by page."""
    chance = random.Random(18)
    ledger = Ledger(_terms(accounts))
    opening = _opening(accounts)
    _fold(ledger, opening, BEGIN_MS, 0)
    ledger.close(len(opening))
    offset = _hour_before(ledger, chance, entries, accounts, len(opening))
    fold_s, close_s, alerts = [], [], 0
    for page in range(pages):
        values = _charges(chance, HOUR_PAGES + page, entries, accounts)
        if page % 10 == 0:
            values[entries // 2 : entries // 2] = _payments(chance, page, accounts)
        began = time.process_time()
        alerts += _fold(ledger, values, BEGIN_MS + HOUR_PAGES * BUCKET_MS + page * PAGE_MS, offset)
        folded = time.process_time()
        ledger.close(offset + len(values))
        fold_s.append(folded - began)
        close_s.append(time.process_time() - folded)
        offset += len(values)
    rate = round(entries * len(fold_s) / (sum(fold_s) + sum(close_s)))
    table = Table(title=f"{entries:,} entries of {accounts:,} accounts in a page, one core, {pages} pages")
    for column in ("entries/s", "fold ms a page", "close ms a page", "us of CPU an entry", "alerts"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{rate:,}",
        f"{statistics.median(fold_s) * 1_000:.0f}",
        f"{statistics.median(close_s) * 1_000:.0f}",
        f"{1e6 / rate:.2f}",
        str(alerts),
    )
    console = Console()
    console.print(table)
    kept = keep("ledger", {"core": {"entries_per_second": rate, "entries": entries, "accounts": accounts}})
    console.print(f"kept in {kept}")


if __name__ == "__main__":
    typer.run(main)
