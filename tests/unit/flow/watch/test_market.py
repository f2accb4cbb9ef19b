"""A provider that fails, refuses or slows, and a model sold under cost: told of the model at that provider alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from support.watched import COUNTS, World
from tokenmeter.events import wire
from tokenmeter.flow.watch import feed_market
from tokenmeter.flow.watch.feeds import FEEDS
from tokenmeter.flow.watch.settings import Settings

BUCKET_S = 1800
BEGIN_S = 20_605 * 86400
BUCKETS, AT = 3 * 48, 3 * 48 - 6
CALLS = 400
ZERO = (*COUNTS, "rate_limited", "streamed", "cancelled", "byok", "input_tokens", "uncosted", "unpriced")


def line(at_s: int, provider: str, **more: Any) -> bytes:
    hour = datetime.fromtimestamp(at_s // 3600 * 3600, UTC)
    what = {"model": "a/m", "provider": provider, "variant": "standard", "operation": "CHAT", "context_bucket": "<1k"}
    money = {"currency": "USD", "cost_currency": "USD", "charge": Decimal(10), "cost": Decimal(9)}
    speed = {"latency_calls": CALLS, "latency_sum_ms": CALLS * 800}
    named = {"partition": 0, "first_offset": 0, "line": 0, "occurred_hour": hour, "events": CALLS}
    return wire.encode("market_line", {**dict.fromkeys(ZERO, 0), **named, **what, **money, **speed, **more})


def told(change: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """Alerts of two providers, one of which changes for the last three hours."""
    world, chance = World(Settings(BUCKET_S), feed_market.FEED, BEGIN_S), np.random.default_rng(3)
    for bucket in range(BUCKETS):
        at_s = BEGIN_S + bucket * BUCKET_S + 60
        for provider in ("good", "bad"):
            usual = {
                "errors": int(chance.binomial(CALLS, 0.02)),
                "latency_sum_ms": int(chance.gamma(CALLS) * 800),
            }
            changed = change(chance) if provider == "bad" and bucket >= AT else {}
            world.write(at_s, [line(at_s, provider, **{**usual, **changed})])
    world.owner().page(world.end())
    return world.alerts()


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("errors", lambda chance: {"errors": int(chance.binomial(CALLS, 0.5))}),
        ("rate_limited", lambda chance: {"errors": CALLS // 2, "rate_limited": CALLS // 2}),
        ("first_token_ms", lambda chance: {"latency_sum_ms": CALLS * 8_000}),
        ("loss", lambda chance: {"cost": Decimal(16)}),
    ],
)
def test_what_goes_wrong_at_a_provider_is_told_of_it_alone(measure: str, change: Callable[[Any], Any]) -> None:
    found = told(change)
    assert {(one["subject_kind"], one["subject_id"]) for one in found} == {("model_provider", "a/m at bad")}
    first = found[0]
    assert (first["measure"], first["state"], first["account_id"]) == (measure, "OPEN", "")
    assert BEGIN_S + (AT + 1) * BUCKET_S <= first["broker_at"].timestamp() <= BEGIN_S + (AT + 3) * BUCKET_S
    assert "a/m at bad" in first["sentence"]
    if measure == "loss":
        assert first["amount"] == 6


def test_an_ordinary_provider_and_money_that_cannot_be_compared_are_not_told() -> None:
    assert told(lambda chance: {}) == []
    assert told(lambda chance: {"cost": Decimal(16), "uncosted": 1}) == []
    assert told(lambda chance: {"cost": Decimal(16), "cost_currency": "EUR"}) == []


def test_no_two_feeds_share_a_state_topic() -> None:
    """Each has a transaction of its own, and an open one of the other would hide a checkpoint from a new owner."""
    assert len({feed.state for feed in FEEDS.values()}) == len(FEEDS)
