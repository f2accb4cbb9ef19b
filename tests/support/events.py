"""Made events for tests."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenmeter.events import UsageEvent, encode

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def event(number: int = 0, **fields: Any) -> UsageEvent:
    """A valid event; the same number gives the same one."""
    chance = random.Random(number)
    tokens_in, tokens_out = chance.randrange(1, 100_000), chance.randrange(1, 5_000)
    made: dict[str, Any] = {
        "event_id": f"event-{number:08d}",
        "occurred_at": NOW - timedelta(seconds=chance.randrange(0, 7_200)),
        "source": "test",
        "sequence": number,
        "customer_id": f"cus_{chance.randrange(50)}",
        "project_id": chance.choice([None, "prj_1", "prj_2"]),
        "app_id": chance.choice([None, "app"]),
        "model": chance.choice(["a/one", "b/two", "c/drei-ß"]),
        "provider": chance.choice(["p1", "p2"]),
        "status": chance.choice([200, 200, 200, 429, 500]),
        "tags": ("x", "y") if number % 3 else (),
        "input_tokens": tokens_in,
        "cached_input_tokens": tokens_in // 3,
        "output_tokens": tokens_out,
        "reasoning_tokens": tokens_out // 2,
        "reported_cost": Decimal("0.0012") if number % 2 else None,
    }
    return UsageEvent(**{**made, **fields})


def value(number: int = 0, **fields: Any) -> bytes:
    """The wire value of ``event``."""
    return encode("usage_event", event(number, **fields).to_record())
