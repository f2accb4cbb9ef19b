"""Re-rating moves usage to its new ratings: every charge at every level and in both views, and nothing else."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from confluent_kafka import KafkaError, KafkaException

from support import random_catalog
from support.catalog_rows import account, plan, price
from support.events import event
from support.rated_pages import PAGE_OFFSETS, World, billing, market, on_pages
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Fatal, Fenced
from tokenmeter.ops.reconcile.pages import RATED_BY
from tokenmeter.ops.rerate import judge as judging
from tokenmeter.ops.rerate import moves as moving
from tokenmeter.ops.rerate import run as running
from tokenmeter.ops.rerate.booking import Booking
from tokenmeter.ops.rerate.judge import DIFFERS, GONE, LATE, Judgement, PageUsage, judge
from tokenmeter.ops.rerate.moves import corrections
from tokenmeter.ops.rerate.report import priced, rows, totals

NOW = random_catalog.MONDAY + timedelta(days=8)
CLOSED = NOW - timedelta(days=1)


def calls(seed: int, count: int) -> list[UsageEvent]:
    """Calls that fall on few lines, and corrections of a user's own with and without a rating."""
    chance = random.Random(seed)
    made: list[UsageEvent] = []
    while len(made) < count:
        number = seed * 1_000 + len(made)
        flags = {"country": chance.choice([None, "DE"]), "streamed": chance.random() < 0.5}
        one = (
            random_catalog.call(chance, number, **flags)
            if chance.random() < 0.9
            else random_catalog.correction(chance, number, chance.choice([None, "||default|"]))
        )
        made += [one] if one.input_tokens < 10**6 else []
    return made


def world(seed: int, pages: int = 3, count: int = 30) -> World:
    chance = random.Random(seed)
    catalog = random_catalog.rows(chance)
    known = [chance.randrange(len(catalog)) for _ in range(pages)]
    return World(catalog, known, [calls(seed * 10 + n, count) for n in range(pages)])


def usage(made: World, booked: list[tuple[int, UsageEvent]]) -> PageUsage:
    closed = {(page.partition, page.first_offset): CLOSED for page in made.places}
    reconciled = on_pages([]).rename({"rating": RATED_BY})
    return PageUsage(made.places, closed, made.raw(), made.lines(), reconciled, on_pages(booked))


def run(made: World, x: int, booked: list[tuple[int, UsageEvent]]) -> tuple[Judgement, list[tuple[int, UsageEvent]]]:
    found = judge(usage(made, booked), made.rater_at(x), made.rater_at, NOW)
    events = corrections(found.moves)
    return found, [(int((one.corrects or "").rpartition("@")[2]), one) for one in events]


def wanted(made: World, x: int) -> list[tuple[UsageEvent, object]]:
    """Every call at the price that the catalog below ``x`` gives it; what carries a rating keeps it."""
    pages = zip(made.metered, made.known, strict=True)
    return [(one, made.rating(one, known if one.rating else x)) for page, known in pages for one in page]


def booked_so_far(made: World, booked: list[tuple[int, UsageEvent]]) -> list[tuple[UsageEvent, object]]:
    """What the lines say, as the meter rated each page and then each correction."""
    pages = zip(made.metered, made.known, strict=True)
    rated = [(one, made.rating(one, known)) for page, known in pages for one in page]
    return [*rated, *((one, made.rating(one)) for _, one in booked)]


def differing(made: World, x: int, booked: list[tuple[int, UsageEvent]]) -> list[str]:
    """Where the lines are not what the oracle wants."""
    found = []
    for view in (billing, market):
        one, other = view(made.charges, wanted(made, x)), view(made.charges, booked_so_far(made, booked))  # type: ignore[arg-type]
        found += [f"{key}: {one.get(key)} {other.get(key)}" for key in {*one, *other} if one.get(key) != other.get(key)]
    return found


@pytest.mark.parametrize("seed", range(10))
def test_usage_is_charged_as_the_catalog_says_in_both_views_however_often_it_changes(seed: int) -> None:
    made = world(seed)
    booked: list[tuple[int, UsageEvent]] = []
    ids: set[str] = set()
    for x in (len(made.catalog), len(made.catalog) // 2, len(made.catalog)):
        found, events = run(made, x, booked)
        assert found.left.height == 0, found.left
        booked += events
        ids |= {one.event_id for _, one in events}
        assert differing(made, x, booked) == []
        assert run(made, x, booked)[1] == [], "a second time books nothing"
    assert len(ids) == len(booked), "no step takes another's id"


def test_there_is_something_to_move_in_most_of_these_worlds() -> None:
    assert sum(bool(run(made, len(made.catalog), [])[1]) for made in map(world, range(10))) > 7


def test_the_same_state_gives_the_same_events() -> None:
    made = world(3)
    one, other = run(made, len(made.catalog), []), run(made, len(made.catalog), [])
    assert one[1] == other[1]


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_killed_between_two_pages_and_run_again_ends_the_same(killed_after: int) -> None:
    made = world(5)
    x = len(made.catalog)
    whole = run(made, x, [])[1]
    firsts = sorted({first for first, _ in whole})
    part = [(first, one) for first, one in whole if first in firsts[:killed_after]]
    rest = run(made, x, part)[1]
    assert sorted(one.event_id for _, one in [*part, *rest]) == sorted(one.event_id for _, one in whole)


def mutant_by_hour(events: pl.DataFrame, rater: object) -> pl.Series:
    """Rates a call as if it had ended when its hour began: lines know no more."""
    return RATE(events.with_columns(pl.col("occurred_hour").alias("occurred_at")), rater)  # type: ignore[arg-type]


def mutant_by_line(events: pl.DataFrame, rater: object) -> pl.Series:
    """Rates a call by the size of its line."""
    size = pl.col("input_tokens").sum().over("customer_id", "model", "occurred_hour")
    return RATE(events.with_columns(size.alias("input_tokens")), rater)  # type: ignore[arg-type]


RATE = judging.rate


@pytest.mark.parametrize("mutant", [mutant_by_hour, mutant_by_line])
def test_a_rating_by_what_lines_know_is_noticed(mutant: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "rate", mutant)
    assert any(differing(made, len(made.catalog), run(made, len(made.catalog), [])[1]) for made in map(world, range(9)))


@pytest.mark.parametrize("name", ["app_id", "country", "streamed", "outcome", "context_bucket"])
def test_a_group_that_mixes_what_lines_tell_apart_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(events: pl.DataFrame) -> pl.DataFrame:
        first = [] if name == "events" else [pl.col(name).first().over("partition", "first_offset").alias(name)]
        keys = [*moving.GROUP, RATED_BY]
        made = GROUPED(events).with_columns(first)
        return made.group_by(keys).agg(pl.col([c for c in made.columns if c not in keys]).sum()).select(made.columns)

    monkeypatch.setattr(judging, "grouped", mixed)
    assert any(differing(made, len(made.catalog), run(made, len(made.catalog), [])[1]) for made in map(world, range(9)))


GROUPED = moving.grouped


def priced_later(calls_: int = 2) -> World:
    """A page that knew no price, and a price that holds since before it."""
    same = {"customer_id": "c", "project_id": None, "model": "a/one", "provider": "p"}
    events = [event(n, occurred_at=NOW - timedelta(hours=2), **same) for n in range(calls_)]
    return World([price("a/one", 5)], [0], [events])


def test_what_had_no_price_gets_one() -> None:
    made = priced_later()
    (found, events) = run(made, 1, [])
    assert {one.rating for _, one in events} == {"||default|", f"{made.catalog[0].row_id}||default|"}
    assert found.left.height == 0
    assert differing(made, 1, events) == []


def test_lines_whose_raw_events_are_gone_are_left_and_named() -> None:
    made = priced_later()
    known = usage(made, [])
    lost = PageUsage(known.places, known.closed_at, known.raw[:1], known.metered, known.reconciled, known.booked)
    found = judge(lost, made.rater_at(1), made.rater_at, NOW)
    assert (found.moves.height, found.left["reason"].to_list(), found.left["calls"].to_list()) == (0, [DIFFERS], [2])
    found = judge(lost, made.rater_at(1), made.rater_at, CLOSED + timedelta(days=32))
    assert (found.moves.height, found.left["reason"].to_list()) == (0, [GONE])
    found = judge(known, made.rater_at(1), made.rater_at, NOW + timedelta(days=36))
    assert (found.moves.height, found.left["reason"].to_list()) == (0, [LATE])


def test_a_copy_that_was_metered_twice_waits_for_reconcile() -> None:
    made = priced_later(1)
    copied = World(made.catalog, [0, 0], [made.metered[0], made.metered[0]])
    found, events = run(copied, 1, [])
    assert {first for first, _ in events} == {0}, "the page of the first copy is as its raw events say"
    assert found.left["first_offset"].to_list() == [PAGE_OFFSETS]
    taken = made.metered[0][0].model_copy(
        update={"kind": "CORRECTION", "corrects": f"page:0@{PAGE_OFFSETS}", "calls": -1, "rating": "||default|"}
        | {name: -getattr(made.metered[0][0], name) for name in moving.QUANTITY_FIELDS}
    )
    known = usage(copied, [])
    reconciled = on_pages([(PAGE_OFFSETS, taken)]).rename({"rating": RATED_BY})
    set_right = PageUsage(known.places, known.closed_at, known.raw, known.metered, reconciled, known.booked)
    found = judge(set_right, copied.rater_at(1), copied.rater_at, NOW)
    assert found.left.height == 0
    assert set(found.moves["first_offset"]) == {0}, "what reconcile took off is not charged anew"


def test_transactions_carry_whole_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pl.concat([run(made, len(made.catalog), [])[0].moves for made in map(world, (1, 2, 3))])
    found = found.with_columns(pl.col("first_offset") + 10_000 * pl.int_range(pl.len()) // 40).sort("first_offset")
    monkeypatch.setattr(running, "BOOKED_AT_ONCE", 10)
    parts = list(running._by_pages(found))
    assert pl.concat(parts).equals(found)
    assert len(parts) > 3
    pages = [set(part["first_offset"]) for part in parts]
    assert all(not one & other for one, other in itertools.combinations(pages, 2))


def test_the_report_keeps_currencies_apart_and_says_what_had_no_price() -> None:
    at = NOW - timedelta(hours=2)
    same: dict[str, Any] = {"occurred_at": at, "model": "a/one", "provider": "p", "project_id": None, "status": 200}
    events = [event(n, customer_id=f"c{n}", input_tokens=10, output_tokens=1, **zeros(), **same) for n in range(3)]
    rows_ = [
        price("a/one", 5, provider="q"),
        account("c1", "yuan"),
        plan("yuan", "yuan"),
        price("a/one", 7, book="yuan", currency="CNY"),
        price("a/one", 3, book="cost", currency="EUR"),
        price("a/one", 5),
    ]
    made = World(rows_, [4], [events])
    found, _ = run(made, 6, [])
    shown = rows(priced(found.before, made.rater_at(6)), priced(found.after, made.rater_at(6)))
    told = [
        (r["customer_id"], r["currency"], r["old_charge"], r["new_charge"], r["unpriced_calls_before"]) for r in shown
    ]
    usd, cny = Decimal("60").scaleb(-12), Decimal("84").scaleb(-12)
    assert told == [("c0", "USD", Decimal(0), usd, 1), ("c1", "CNY", cny, cny, 0), ("c2", "USD", Decimal(0), usd, 1)]
    assert {(r["cost_currency"], r["new_cost"], r["unpriced_calls_after"]) for r in shown} == {
        ("EUR", Decimal("36").scaleb(-12), 0)
    }
    assert list(totals(shown)) == [
        ("charge", "CNY", Decimal(0)),
        ("charge", "USD", 2 * usd),
        ("cost", "EUR", Decimal("108").scaleb(-12)),
    ]


def zeros() -> dict[str, int]:
    return {"cached_input_tokens": 0, "reasoning_tokens": 0}


class FailedProducer:
    """A transactional producer that was shut out, as it shows at each step."""

    def __init__(self, produce: int, commit: int) -> None:
        self._produce, self._commit = produce, commit

    def begin_transaction(self) -> None:
        pass

    def produce(self, topic: str, value: bytes, key: bytes) -> None:
        raise KafkaException(KafkaError(self._produce))

    def commit_transaction(self, timeout_s: float) -> None:
        raise KafkaException(KafkaError(self._commit))


@pytest.mark.parametrize(
    ("produce", "commit", "kind"),
    [
        (KafkaError._FATAL, KafkaError._FENCED, Fenced),
        (KafkaError._FATAL, KafkaError._FATAL, Fatal),
        (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._FENCED, Fatal),
    ],
)
def test_who_was_shut_out_while_sending_is_told_so(produce: int, commit: int, kind: type[Fatal]) -> None:
    booking = Booking({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    booking._producer = FailedProducer(produce, commit)  # type: ignore[assignment]
    with pytest.raises(Fatal) as caught:
        booking.book([event(1)])
    assert type(caught.value) is kind
