"""The demo: the same calls sent twice through the SDK, and the table that proves they counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from tokenmeter.cli.settings import Settings
from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.replay.generated import calls as generated
from tokenmeter.emit.replay.replay import Sent, send
from tokenmeter.emit.replay.traces import lines_of, read, yesterday
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog import Account
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.rating import amount
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack import ledger_proof
from tokenmeter.stack.demo_credit import use_up
from tokenmeter.stack.demo_leak import Leak
from tokenmeter.stack.local import LocalStack
from tokenmeter.stack.owed import Owed
from tokenmeter.stack.prices.demo import PREPAID_CUSTOMER, demo_rows
from tokenmeter.stack.prices.proposed import Place, Proposed
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.writer import publish
from tokenmeter.stack.proof import settle
from tokenmeter.store.client import connect

ROUNDS = 2
DEMO = Place("the demo's price book")
GENERATED_PERIOD = timedelta(hours=20)

Bar = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


def price_book(client: Mapping[str, Any], console: Console) -> list[CatalogRow]:
    """The catalog's rows; those of the demo are written where it has none, and never beside somebody's own."""
    written = publish(client, lambda known: [] if known.rows else [Proposed(row, DEMO) for row in demo_rows()])
    rows = [row for _, row in read_catalog(KafkaLogReader(client)).rows]
    console.print(f"price book: {len(rows)} rows, {len(written.changes.rows)} of them just written", highlight=False)
    return rows


def run_demo(
    stack: LocalStack, settings: Settings, traces: list[Path], calls: int, console: Console, bar: Bar, hurried: bool
) -> bool:
    """Send, wait until every place has caught up, print the table; whether all rows agree. ``hurried``: without the
    leaked key, for which the watch needs its minute."""
    start = yesterday(datetime.now(UTC))
    sources: list[tuple[str, int | None, Callable[[], Iterable[UsageEvent]]]]
    sources = [(trace.name, lines_of(trace), partial(read, trace, start)) for trace in traces]
    generate = partial(generated, calls, start, GENERATED_PERIOD)
    client = stack.kafka.client
    rows = price_book(client, console)
    ours = any(isinstance(row, Account) and row.account_id == PREPAID_CUSTOMER for row in rows)
    sent, owed, leak = Sent(), Owed(rows), Leak(KafkaLogReader(client))
    with Emitter(stack.kafka.bootstrap, client_config=client) as emitter:
        if ours and not hurried:
            leak.begin(lambda events: send(owed.counted(events, sent), emitter, sent))
        for number in range(1, ROUNDS + 1):
            for name, total, events in sources or [("generated calls", calls, generate)]:
                with bar(f"{name}, round {number} of {ROUNDS}", total) as advance:
                    send(owed.counted(events(), sent), emitter, sent, None, advance)
        refused = True
        if ours:

            def send_one(event: UsageEvent) -> None:
                send(owed.counted([event], sent), emitter, sent)

            refused = use_up(client, send_one, console, stack.watch)
    console.print("waiting until the last event is metered and stored ...", highlight=False)
    clickhouse = connect(stack.clickhouse_url, settings.clickhouse_user, stack.clickhouse_password)
    proof = settle(sent, owed.amounts, client, clickhouse, stack.watch)
    console.print(proof.table())
    booked = ledger_proof.settle(owed.amounts, client, stack.watch)
    for currency, *places in booked:
        shown = " = ".join(f"{amount(place):,.6f}" for place in places)
        what = f"{currency}: owed = on ledger.entries = in account.state: {shown}"
        console.print(what, style="" if len(set(places)) == 1 else "red", highlight=False, soft_wrap=True)
    told = hurried or not ours or leak.tell(console, stack.watch)
    return proof.holds and refused and ledger_proof.holds(booked) and told
