"""An upstream that reports another cost than our prices make is told, of its model; an older checkpoint is read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from support.watched import World, billing, knows
from tokenmeter.flow.watch import feed_billing
from tokenmeter.flow.watch.feed_billing import FEED
from tokenmeter.flow.watch.settings import Settings

BUCKET_S = 1800
BEGIN_S = 20_605 * 86400
WRONG = 6
"""The bucket from which on the upstream reports more."""
BEFORE = replace(FEED, measures=FEED.measures[:2], columns=FEED.columns[:4])
"""As it was before costs were compared."""


def write(made: World, customers: int, buckets: range, reported: str = "1.30", **more: str) -> None:
    """A line a customer and bucket, of 10 calls that cost us 5."""
    for bucket in buckets:
        at_s = BEGIN_S + bucket * BUCKET_S + 7
        theirs = Decimal(5) * (Decimal(reported) if bucket >= WRONG else Decimal("1.004"))
        costs = {
            "cost_currency": "USD",
            "reported_calls": 10,
            "reported_cost": theirs,
            "reported_calls_cost": Decimal(5),
        }
        made.write(at_s, [billing(at_s, f"customer-{n}", None, 10, **{**costs, **more}) for n in range(customers)])


def test_a_cost_that_the_upstream_reports_otherwise_is_told_with_its_money() -> None:
    made = World(Settings(BUCKET_S), begin_s=BEGIN_S)
    write(made, 2, range(12), reported="0.70")
    made.owner().page(made.end())
    opened = [one for one in made.alerts() if one["state"] == "OPEN"]
    assert {(one["subject_id"], one["measure"], one["kind"]) for one in opened} == {
        ("customer-0", "price_mismatch", "loss"),
        ("customer-1", "price_mismatch", "loss"),
    }
    assert opened[0]["broker_at"].timestamp() == BEGIN_S + (WRONG + 1) * BUCKET_S
    assert float(opened[0]["amount"]) == pytest.approx(1.5) and opened[0]["currency"] == "USD"
    assert "off the cost that the upstream reports" in opened[0]["sentence"]


def test_users_of_one_model_are_one_alert() -> None:
    made = World(Settings(BUCKET_S), begin_s=BEGIN_S)
    write(made, 8, range(12))
    made.owner().page(made.end())
    (opened,) = [one for one in made.alerts() if one["state"] == "OPEN"]
    assert (opened["subject_kind"], opened["subject_id"]) == ("group", "author/model")
    assert float(opened["seen"]) == pytest.approx(8 * 1.5)


@pytest.mark.parametrize("other", ["cost_currency", "currency"])
def test_costs_in_another_currency_are_not_compared(other: str) -> None:
    made = World(Settings(BUCKET_S), begin_s=BEGIN_S)
    write(made, 2, range(12), **{other: "CNY"})
    made.owner().page(made.end())
    assert made.alerts() == []


def test_a_checkpoint_from_before_costs_were_compared_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World(Settings(BUCKET_S), feed=BEFORE, begin_s=BEGIN_S)
    write(made, 8, range(5))
    old = made.owner()
    old.page(made.end())
    made.feed = FEED
    write(made, 8, range(5, 12))
    new = made.owner()
    assert new.processor.watch.detectors[0].pools() == old.processor.watch.detectors[0].pools()
    new.page(made.end())
    assert [one["subject_id"] for one in made.alerts() if one["state"] == "OPEN"] == ["author/model"]
    assert knows(made.owner()) == knows(new)
    assert feed_billing.COLUMNS[: len(BEFORE.columns)] == BEFORE.columns
