"""A world to send days of calls in, soon and late, and the check that lines add up to the first copies of them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support import oracle, usage_totals
from support.broker import eventually, read_all
from support.events import event
from support.outcome import Outcome
from support.world import World
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import BILLING, EVENTS, MARKET
from tokenmeter.flow.meter.dedup import HORIZON_MINUTES
from tokenmeter.ops.reconcile import Report, Sources
from tokenmeter.ops.reconcile import run as reconcile

LONG_MS = HORIZON_MINUTES * 60_000
SHORT_MS = 400
"""A horizon that a test can outlive."""
TIMEOUT_S = 90.0


def day(seed: int, count: int = 600) -> list[UsageEvent]:
    """A day's calls, spread over yesterday. Half have customers of their own, so that ids can be told apart; half share
    a few customers, keys and models, so that lines hold several of them."""
    chance = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = []
    for number in range(count):
        at = midnight - timedelta(days=1) + timedelta(seconds=chance.randrange(86_400))
        own = number % 2 == 0
        made.append(
            event(
                seed * 1_000_000 + number,
                customer_id=f"own-{seed}-{number}" if own else f"shared-{chance.randrange(4)}",
                occurred_at=at if own else at.replace(hour=chance.randrange(2)),
                country=chance.choice([None, "DE", "US"]),
                streamed=chance.random() < 0.7,
                cancelled=chance.random() < 0.1,
                byok=chance.random() < 0.1,
                variant=chance.choice(["standard", "free"]),
            )
        )
    return made


class Days(World):
    """A meter with a horizon of ``horizon_ms`` and a loader; ``first`` are the first copies."""

    horizon_ms: int

    def start(self, horizon_ms: int) -> None:
        self.horizon_ms, self.first = horizon_ms, list[UsageEvent]()
        self.meter = self.worker("meter", slot="1", horizon_ms=horizon_ms)
        self.load = self.worker("load", slot="1")

    def outlive_horizon(self) -> None:
        """Wait until all is metered, and what is in the log is beyond the horizon by the broker's clock, which is this
        machine's."""
        self.wait_read("meter")
        last_ms = max(record.timestamp_ms for record in read_all(self.bootstrap, EVENTS))
        eventually("the horizon has passed", lambda: time.time() * 1_000 > last_ms + self.horizon_ms + 1, TIMEOUT_S)

    def merge(self) -> None:
        """Let ClickHouse drop every row but the first of each identity, as it does in its own time."""
        self.store.command("OPTIMIZE TABLE tokenmeter.usage_events FINAL")

    def reconcile(self, **options: Any) -> Report:
        return reconcile(Sources(self.client, self.store, TIMEOUT_S), **options)

    def judge(self) -> Outcome:
        """What the lines say, against the first copies; ids where a customer has one event only."""
        self.wait_read("meter")
        calls = oracle.counted(self.bootstrap)
        own = [one.customer_id for one in self.first if one.customer_id.startswith("own-")]
        wrong = [
            difference
            for topic in (BILLING, MARKET)
            for difference in usage_totals.different(
                usage_totals.expected(topic, self.first), usage_totals.on_topic(self.bootstrap, topic)
            )
        ]
        lost, doubled = sum(calls[customer] < 1 for customer in own), sum(calls[customer] > 1 for customer in own)
        return Outcome(1, len(self.first), lost, doubled, tuple(wrong[:5]))

    def audited(self) -> list[str]:
        """What the independent recount of the log says of pages, lines and ClickHouse."""
        report = self.audit(self.horizon_ms)
        return [] if report.ok else [f"audit: {report.difference}"]


@contextmanager
def days(folder: Path, horizon_ms: int) -> Iterator[Days]:
    """Everything running."""
    with Days.begun(folder, clickhouse=True) as made:
        made.start(horizon_ms)
        yield made
