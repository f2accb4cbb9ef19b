"""What reconcile emits for a difference: both views of the lines come out exactly, and the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta

import pytest

from support import usage_totals
from support.events import NOW, event
from tokenmeter.events import UsageEvent, accept, wire
from tokenmeter.events.contract import BILLING, MARKET
from tokenmeter.events.errors import Fatal
from tokenmeter.ops.reconcile.corrections import PageDifference, cells, corrections
from tokenmeter.ops.reconcile.evidence import stretches


def copies(seed: int, count: int) -> list[UsageEvent]:
    """Calls that fall on few lines: several of one key, of every status and flag."""
    chance = random.Random(seed)
    return [
        event(
            seed * 1_000 + number,
            customer_id=f"c{chance.randrange(3)}",
            occurred_at=NOW - timedelta(minutes=chance.randrange(90)),
            streamed=chance.random() < 0.5,
            cancelled=chance.random() < 0.2,
            byok=chance.random() < 0.2,
            country=chance.choice([None, "DE"]),
            tool_calls=chance.randrange(3),
        )
        for number in range(count)
    ]


def difference(events: Iterable[UsageEvent], lost: Iterable[UsageEvent] = ()) -> PageDifference:
    """A page whose lines count ``events`` once too often and ``lost`` not at all."""
    page = PageDifference(2, 1_000)
    for topic, view in ((BILLING, page.billing), (MARKET, page.market)):
        plus, minus = usage_totals.expected(topic, events), usage_totals.expected(topic, lost)
        for key in {*plus, *minus}:
            names = usage_totals.MEASURES[topic]
            measures = {n: plus.get(key, {}).get(n, 0) - minus.get(key, {}).get(n, 0) for n in names}
            if any(measures.values()):
                view[key] = measures
    return page


def left_over(page: PageDifference, made: Iterable[UsageEvent]) -> list[str]:
    """What the lines are still wrong by once the meter has added ``made`` to them."""
    found = []
    for topic, view in ((BILLING, page.billing), (MARKET, page.market)):
        negated = {key: {n: -count for n, count in measures.items()} for key, measures in view.items()}
        found += usage_totals.different(negated, usage_totals.expected(topic, made))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_corrections_bring_both_views_to_the_truth(seed: int) -> None:
    page = difference(copies(seed, 1 + seed), copies(seed + 1_000, seed % 4))
    made = corrections(page)
    assert left_over(page, made) == []
    for one in made:
        record = wire.decode(wire.encode("usage_event", one.to_record())).record
        assert accept.reason_against(record, int(NOW.timestamp()) * 1_000_000) is None
        assert (record["kind"], record["corrects"]) == ("CORRECTION", "page:2@1000")


def test_a_correction_left_out_is_noticed() -> None:
    page = difference(copies(3, 9))
    assert left_over(page, corrections(page)[1:]) != []


def test_one_copy_is_one_correction_with_its_status_flags_and_bucket() -> None:
    copy = event(1, status=429, streamed=True, input_tokens=5_000, cached_input_tokens=0)
    (made,) = corrections(difference([copy]))
    assert (made.calls, made.status, made.streamed, made.context_bucket) == (-1, 429, True, "1k-10k")
    assert (made.customer_id, made.app_id, made.input_tokens) == (copy.customer_id, copy.app_id, -5_000)


def test_the_same_difference_gives_the_same_events_whatever_its_order() -> None:
    events = copies(5, 20)
    one, other = difference(events), difference(events[::-1])
    other.billing = dict(reversed(other.billing.items()))
    other.market = dict(reversed(other.market.items()))
    assert corrections(one) == corrections(other)
    ids = [made.event_id for made in corrections(one)]
    assert len(set(ids)) == len(ids)
    elsewhere = PageDifference(2, 1_001, one.billing, one.market)
    assert not {made.event_id for made in corrections(elsewhere)} & set(ids)


def test_customers_that_cancel_each_other_out_are_corrected_all_the_same() -> None:
    counted, lost = event(1, customer_id="a"), event(1, customer_id="b")
    page = difference([counted], [lost])
    assert page.market == {}
    made = corrections(page)
    assert left_over(page, made) == []
    assert {one.customer_id: one.calls for one in made} == {"a": -1, "b": 1}


def test_market_rows_without_a_wrong_customer_are_left() -> None:
    page = difference([event(1, app_id="x")], [event(1, app_id="y")])
    assert (page.billing, len(page.market)) == ({}, 2)
    assert list(cells(page.billing, page.market)) == []
    assert corrections(page) == []


def test_views_that_contradict_each_other_are_not_corrected() -> None:
    page = difference(copies(1, 4))
    key = next(iter(page.billing))
    page.billing[key] = {**page.billing[key], "output_tokens": page.billing[key]["output_tokens"] + 1}
    with pytest.raises(Fatal, match=r"page:2@1000 field output_tokens.*audit"):
        corrections(page)


def test_pages_that_follow_each_other_are_read_together() -> None:
    pages = [(PageDifference(0, first, {(f"c{first}",): {}}), first + 10) for first in (30, 0, 10)]
    found = [(s.begin, s.end, s.customers) for s in stretches([*pages, (PageDifference(1, 40), 50)])]
    assert found == [(0, 20, {"c0", "c10"}), (30, 40, {"c30"}), (40, 50, set())]
