"""The demo: the same calls sent twice through the SDK, and the table that proves they counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console

from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.replay import Sent, send
from tokenmeter.emit.synthetic import calls as generated
from tokenmeter.emit.traces import read, yesterday
from tokenmeter.events import UsageEvent
from tokenmeter.stack.local import LocalStack
from tokenmeter.stack.owed import Owed
from tokenmeter.stack.proof import settle
from tokenmeter.stack.settings import Settings
from tokenmeter.store.client import connect

ROUNDS = 2
GENERATED_PERIOD = timedelta(hours=20)

Bar = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


def run_demo(stack: LocalStack, settings: Settings, traces: list[Path], calls: int, console: Console, bar: Bar) -> bool:
    """Send, wait until every place has caught up, print the table; whether all rows agree."""
    start = yesterday(datetime.now(UTC))
    sources: list[tuple[str, int | None, Callable[[], Iterable[UsageEvent]]]]
    sources = [(trace.name, None, partial(read, trace, start)) for trace in traces]
    generate = partial(generated, calls, start, GENERATED_PERIOD)
    sent, owed = Sent(), Owed([])
    with Emitter(stack.bootstrap) as emitter:
        for number in range(1, ROUNDS + 1):
            for name, total, events in sources or [("generated calls", calls, generate)]:
                with bar(f"{name}, round {number} of {ROUNDS}", total) as advance:
                    send(owed.counted(events(), sent), emitter, sent, None, advance)
    console.print("waiting until the last event is metered and stored ...", highlight=False)
    clickhouse = connect(stack.clickhouse_url, settings.clickhouse_user, stack.clickhouse_password)
    proof = settle(sent, owed.amounts, {"bootstrap.servers": stack.bootstrap}, clickhouse, stack.watch)
    console.print(proof.table())
    return proof.holds
