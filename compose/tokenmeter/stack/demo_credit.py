"""The demo's second act: a prepaid customer uses up its credit before the reader's eyes, and its next call is refused.

Each call asks first, as a gateway does. The alerts are the ledger's, printed as they come.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from tokenmeter.emit.credit import CreditCache
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import ALERTS
from tokenmeter.events.ledger import EntryKind
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.credit.book import book
from tokenmeter.stack.credit.make import entry
from tokenmeter.stack.credit.read import alerts_since
from tokenmeter.stack.prices.demo import PREPAID_CUSTOMER

GRANT_USD = Decimal("0.50")
MODEL, PROVIDER = "anthropic/claude-opus-4.6", "anthropic"
INPUT_TOKENS, OUTPUT_TOKENS = 8_000, 400
CALL_EVERY_S = 0.25
CALLS_MAX = 200
"""A ledger that refuses nobody ends the act after so many calls."""
BOOK_WAIT_S = 60.0
CATCH_UP_S = 30.0


def call(number: int) -> UsageEvent:
    """A call of the prepaid customer that ends now."""
    return UsageEvent(
        event_id=str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
        occurred_at=datetime.now(UTC),
        source="demo-prepaid",
        sequence=number,
        customer_id=PREPAID_CUSTOMER,
        app_id="chatroom",
        model=MODEL,
        provider=PROVIDER,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        latency_ms=300,
        duration_ms=2_000,
    )


def use_up(
    client: Mapping[str, Any],
    send: Callable[[UsageEvent], None],
    console: Console,
    tick: Callable[[], None],
) -> bool:
    """Grant, call until a call is refused, say what happened; whether one was. ``send`` delivers a call."""
    log = KafkaLogReader(client)
    seen = Alerts(log)
    grant = entry(
        PREPAID_CUSTOMER,
        EntryKind.GRANT,
        f"demo-{secrets.token_hex(8)}",
        datetime.now(UTC),
        "tokenmeter demo",
        amount=GRANT_USD,
        note="credit of the demo",
    )
    book(client, grant, BOOK_WAIT_S)
    console.print(f"credit: {PREPAID_CUSTOMER} gets {GRANT_USD} USD and calls {MODEL}", highlight=False)
    with CreditCache(client["bootstrap.servers"], client=client) as cache:
        deadline = time.monotonic() + CATCH_UP_S
        while not cache.ready and time.monotonic() < deadline:
            time.sleep(CALL_EVERY_S)
        for number in range(CALLS_MAX):
            answer = cache.allowed(PREPAID_CUSTOMER, model=MODEL)
            for sentence in seen.new():
                console.print(f"alert: {sentence}", highlight=False, style="yellow", soft_wrap=True)
            if not answer.allowed:
                console.print(f"call {number + 1} is refused: {answer.reason}", highlight=False, style="green")
                return True
            send(call(number))
            tick()
            time.sleep(CALL_EVERY_S)
    console.print(f"no call was refused among {CALLS_MAX}", highlight=False, style="red")
    return False


class Alerts:
    """The sentences of alerts of the demo's customer, each once."""

    def __init__(self, log: KafkaLogReader) -> None:
        self._log = log
        self._next = {partition: log.end(ALERTS, partition) for partition in range(log.partitions(ALERTS))}

    def new(self) -> Iterator[str]:
        """What was told since the last look."""
        for partition, start in self._next.items():
            end = self._log.end(ALERTS, partition)
            if end > start:
                self._next[partition] = end
                for alert in alerts_since(self._log, partition, start):
                    if alert.account_id == PREPAID_CUSTOMER:
                        yield f"{alert.severity} {alert.sentence}"
