"""The demo's third act: a customer's new key is in a thief's hands, and the watch tells of it within its minute.

Nothing is staged for the watch: the calls are events like all others, and the broker's clock stamps their lines. So
nobody has a habit yet, and a key in its first day is judged by what new keys spend in a minute. The calls are sent
before the other acts; by the end of those the minute is nearly over.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich.console import Console

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import ALERTS
from tokenmeter.events.ledger import Alert
from tokenmeter.kafka.logreader import LogReader
from tokenmeter.stack.credit.read import alerts_since

CUSTOMER = "cus_leaked"
MODEL, PROVIDER = "anthropic/claude-opus-4.6", "anthropic"
CALLS, INPUT_TOKENS, OUTPUT_TOKENS = 400, 900_000, 200
"""About 1 800 USD."""
TELL_WAIT_S = 180.0
"""The rest of the minute, ten seconds in which the partition is idle, and a page of the watch."""
LOOK_S = 0.5


class Leak:
    """One act: ``begin`` it, and later see what the watch says of it."""

    def __init__(self, log: LogReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self.key = f"key_leaked_{secrets.token_hex(3)}"

    def begin(self, send: Callable[[Iterable[UsageEvent]], object]) -> None:
        """Deliver the thief's calls."""
        partitions = range(self._log.partitions(ALERTS))
        self._first = {partition: self._log.end(ALERTS, partition) for partition in partitions}
        self._began = self._clock()
        send(self._call(number) for number in range(CALLS))

    def _call(self, number: int) -> UsageEvent:
        return UsageEvent(
            event_id=str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
            occurred_at=datetime.now(UTC),
            source=f"demo-{self.key}",
            sequence=number,
            customer_id=CUSTOMER,
            api_key_id=self.key,
            app_id="chatroom",
            model=MODEL,
            provider=PROVIDER,
            input_tokens=INPUT_TOKENS,
            output_tokens=OUTPUT_TOKENS,
            latency_ms=300,
            duration_ms=2_000,
        )

    def tell(self, console: Console, tick: Callable[[], None], wait: Callable[[float], None] = time.sleep) -> bool:
        """Print the watch's alert of the key, or that none came within TELL_WAIT_S of the calls; whether one did."""
        console.print("waiting until the minute of the leaked key is over ...", highlight=False)
        while True:
            alert = self._alert()
            if alert is not None:
                late_s = self._clock() - self._began
                console.print(
                    f"alert: {alert.severity} {alert.sentence}", style="yellow", highlight=False, soft_wrap=True
                )
                console.print(
                    f"leaked key: told {late_s:.0f} s after its calls; tokenmeter alerts explain {alert.alert_id[:8]}",
                    style="green",
                    highlight=False,
                    soft_wrap=True,
                )
                return True
            if self._clock() - self._began > TELL_WAIT_S:
                console.print(f"leaked key: nothing told within {TELL_WAIT_S:.0f} s", style="red", highlight=False)
                return False
            tick()
            wait(LOOK_S)

    def _alert(self) -> Alert | None:
        """The first alert of the key that was told since it began, or None."""
        found = (
            alert for partition, first in self._first.items() for alert in alerts_since(self._log, partition, first)
        )
        return next((alert for alert in found if alert.account_id == CUSTOMER and alert.score is not None), None)
