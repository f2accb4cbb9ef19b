"""``python -m bench.credit_cache``: memory and time of an answer, with a million accounts in chains of three.

Every tenth account has a grant that expires or a budget of a key that is used up, and a row of its own time. No Kafka.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.kept import keep
from support.ledger_desk import NOON, Desk, budget, prepaid
from tokenmeter.emit.credit import CreditCache
from tokenmeter.emit.credit.book import CreditBook
from tokenmeter.events.catalog import Account
from tokenmeter.events.wire import decode, encode

RESELLERS = 1_000
RARE_EVERY = 10
BUSY = 1_000
ASKED = 200_000
BATCH = 100
"""Answers between two looks at the clock, which costs as much as half an answer."""
NOW = NOON.timestamp()


def _templates() -> list[tuple[bytes, bytes]]:
    """States of an account ``c``, cut where its name is: one without anything special, then the rarer ones."""
    made = []
    for grants, spent in ((0, 0), (1, 0), (0, 1)):
        desk = Desk(budget("c", "KEY", "k", "MONTH", 1)) if spent else Desk(prepaid() if grants else prepaid("other"))
        desk.spend(1)
        if grants:
            desk.post(desk.entry("GRANT", 9, expires_at=NOON + timedelta(days=400)))
        if spent:
            desk.spend(1, scope="KEY", scope_id="k")
        desk.restart()
        value = desk.states["c"]
        empty = encode("account_state", {**decode(value).record, "account_id": ""})
        made.append((value[:5], empty[6:]))
    return made


def _fill(book: CreditBook, accounts: int) -> float:
    """Fold the states and rows of ``accounts``; returns states a second."""
    templates = _templates()
    for number in range(RESELLERS):
        parent = None if number == 0 else "reseller-0"
        _row(book, _reseller(number), parent, NOON - timedelta(days=900))
        book.fold_state(_reseller(number), _state(templates[0], _reseller(number)))
    spent = 0.0
    for number in range(accounts):
        account_id = _name(number)
        rare = number % RARE_EVERY == 0
        value = _state(templates[number // RARE_EVERY % 2 + 1 if rare else 0], account_id)
        began = time.process_time()
        book.fold_state(account_id, value)
        spent += time.process_time() - began
        # A time of its own for some: rows that came one by one, not in one import.
        since = NOON - timedelta(days=800) + timedelta(seconds=number if rare else 0)
        # The name anew: the cache reads it from two topics.
        _row(book, _name(number), _reseller(number), since)
    return accounts / spent


def _state(template: tuple[bytes, bytes], account_id: str) -> bytes:
    name = account_id.encode()
    return template[0] + bytes([2 * len(name)]) + name + template[1]


def _row(book: CreditBook, account_id: str, parent_id: str | None, since: datetime) -> None:
    row = Account(account_id=account_id, parent_id=parent_id, effective_from=since)
    book._rows.add(0, row, NOW)


def _name(number: int) -> str:
    return f"customer-{number:08}"


def _reseller(number: int) -> str:
    return f"reseller-{number % RESELLERS}"


def _times(ask: Callable[[str], Any], names: list[str]) -> tuple[int, int]:
    """Nanoseconds of an answer: the median and the 99th of 100 batches."""
    found = []
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        began = time.perf_counter_ns()
        for name in batch:
            ask(name)
        found.append((time.perf_counter_ns() - began) / len(batch))
    return round(statistics.median(found)), round(sorted(found)[int(len(found) * 0.99)])


def main(accounts: Annotated[int, typer.Option(help="accounts", min=10_000)] = 1_000_000) -> None:
    """Fold the states and rows of many accounts, then ask for some of them in a random order."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    # Its thread finds no Kafka; the book is filled here.
    cache = CreditCache("127.0.0.1:1", client={"log_level": 0, "reconnect.backoff.ms": 10_000})
    cache._stale_at = inf
    per_s = round(_fill(cache._book, accounts))
    gc.collect()
    memory_mb = round((process.memory_info().rss - before) / 1e6)
    chance = random.Random(18)
    drawn = [_name(chance.randrange(accounts)) for _ in range(ASKED)]
    rare = [_name(number * 2 * RARE_EVERY + RARE_EVERY) for number in range(accounts // RARE_EVERY // 2)]
    busy = [_name(chance.randrange(BUSY)) for _ in range(ASKED)]
    cases: dict[str, tuple[Callable[[str], Any], list[str]]] = {
        f"one of {BUSY:,} busy customers": (cache.allowed, busy),
        "any customer": (cache.allowed, drawn),
        "one level": (cache.allowed, [_reseller(0)] * ASKED),
        "budget of a key refuses": (lambda name: cache.allowed(name, "k"), rare),
        "unknown": (cache.allowed, [f"nobody-{number}" for number in range(ASKED)]),
    }
    assert cache.allowed(drawn[0]).allowed and cache.allowed(rare[0], "k").reason == "budget"
    found = {case: _times(*asked) for case, asked in cases.items()}
    table = Table(
        "", "p50 ns", "p99 ns", title=f"{accounts:,} accounts: {memory_mb} MB, {per_s:,} states folded a second"
    )
    for case, (p50, p99) in found.items():
        table.add_row(case, f"{p50:,}", f"{p99:,}")
    Console().print(table)
    kept = {"accounts": accounts, "memory_mb": memory_mb, "states_per_second": per_s, "answer_ns": found}
    Console().print(f"kept in {keep('credit_cache', kept)}")
    cache.close()


if __name__ == "__main__":
    typer.run(main)
