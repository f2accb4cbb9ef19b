"""Corrections carry the price they correct: every charge comes out exact, whatever prices lie within one hour."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from support.catalog_rows import account, plan, price
from support.events import NOW, event
from support.rated_pages import COUNTS, PAGE_OFFSETS, Totals, World, billing, market
from support.usage_totals import MEASURES, expected
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import BILLING, MARKET
from tokenmeter.events.rating import rating_of
from tokenmeter.ops.reconcile.byrating import split_by_rating
from tokenmeter.ops.reconcile.corrections import UNRATED, PageDifference, corrections

CHANGE = NOW - timedelta(minutes=30)
HOUR = NOW - timedelta(hours=1)


def catalog() -> list[CatalogRow]:
    """Two tiers, a change of price within the hour, a distributor above one customer, another currency for another."""
    return [
        price("a/one", 7),
        price("a/one", 11, min_input_tokens=1_000),
        price("a/one", 13, effective_from=CHANGE),
        price("a/one", 17, min_input_tokens=1_000, effective_from=CHANGE),
        price("a/one", 3, book="cost"),
        price("a/one", 50, book="yuan", currency="CNY"),
        plan("dear", margin_ppm=55_000),
        plan("yuan", "yuan"),
        account("c1", "dear", "boss"),
        account("c2", "yuan"),
    ]


def calls(seed: int, count: int = 40) -> list[UsageEvent]:
    """Calls of one hour that fall on few lines."""
    chance = random.Random(seed)
    return [
        event(
            seed * 1_000 + number,
            customer_id=f"c{chance.randrange(3)}",
            project_id=None,
            model="a/one",
            provider="p",
            occurred_at=HOUR + timedelta(seconds=chance.randrange(3_600)),
            input_tokens=chance.randrange(400, 1_600),
            cached_input_tokens=100,
            country=chance.choice([None, "DE"]),
        )
        for number in range(count)
    ]


def world(seed: int, known: int = 10) -> World:
    """Copies of some calls are metered again on a page of their own calls, and on one that knew half the prices."""
    first, second = calls(seed), calls(seed + 500, 15)
    chance = random.Random(seed)
    return World(catalog(), [known, known, known // 2], [first, [*second, *chance.sample(first, 12)], first[:9]])


class Store:
    """Answers as ClickHouse does; ``asked`` are the queries."""

    def __init__(self, made: World) -> None:
        self._made, self.asked = made, list[str]()

    def rows(self, name: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        assert name == "page_places"
        named = set(zip(parameters["partitions"], parameters["firsts"], strict=True))
        return iter([vars(one) for one in self._made.places if (one.partition, one.first_offset) in named])

    def frame(self, name: str, **parameters: Any) -> pl.DataFrame:
        self.asked.append(name)
        found = self._made.raw() if name == "raw_of_pages" else self._made.lines().rename({"rated_by": "rating"})
        return found.filter(
            pl.col("first_offset").is_in(parameters["firsts"]), pl.col("customer_id").is_in(parameters["customers"])
        )


def differences(made: World) -> list[PageDifference]:
    """As reconcile's queries find them: by usage, not by rating."""
    found = []
    for number, (page, raw) in enumerate(zip(made.metered, made.first_copies(), strict=True)):
        one = PageDifference(0, number * PAGE_OFFSETS)
        for topic, view in ((BILLING, one.billing), (MARKET, one.market)):
            plus, minus = _by_usage(topic, page), _by_usage(topic, raw)
            for key in {*plus, *minus}:
                both = {n: plus.get(key, {}).get(n, 0) - minus.get(key, {}).get(n, 0) for n in MEASURES[topic]}
                if any(both.values()):
                    view[key] = both
        found += [one] if one.billing or one.market else []
    return found


def _by_usage(topic: str, events: list[UsageEvent]) -> Totals:
    return expected(topic, events)


def charged(made: World, made_: list[UsageEvent]) -> list[tuple[UsageEvent, Any]]:
    pages = zip(made.metered, made.known, strict=True)
    rated = [(one, made.rating(one, known)) for page, known in pages for one in page]
    return [*rated, *((one, made.rating(one)) for one in made_)]


def wanted(made: World) -> list[tuple[UsageEvent, Any]]:
    pages = zip(made.first_copies(), made.known, strict=True)
    return [(one, made.rating(one, known)) for page, known in pages for one in page]


def market_promise(view: Totals) -> tuple[Totals, Totals]:
    """Calls, tokens and flags by market key; money by model, provider, hour and currency."""
    usage: Totals = defaultdict(lambda: defaultdict(int))
    money: Totals = defaultdict(lambda: defaultdict(int))
    for key, sums in view.items():
        for name, count in sums.items():
            if name in ("charge", "cost"):
                money[key[:2] + key[-3:]][name] += count
            elif not name.startswith("without "):
                usage[key[:-2]][name] += count
    return _nonzero(usage), _nonzero(money)


@pytest.mark.parametrize("seed", range(12))
def test_every_charge_is_exact_after_copies_of_two_tiers_and_a_price_change_in_one_hour(seed: int) -> None:
    made = world(seed)
    found = differences(made)
    split_by_rating(found, Store(made), made.rater_at)  # type: ignore[arg-type]
    events = [one for page in found for one in corrections(page)]
    assert len({rating_of(one.rating or "").price_id for one in events}) > 3
    assert billing(made.charges, charged(made, events)) == billing(made.charges, wanted(made))
    one, other = (market(made.charges, of) for of in (charged(made, events), wanted(made)))
    assert market_promise(one) == market_promise(other)


def _nonzero(totals: Totals) -> Totals:
    kept = {key: {name: n for name, n in sums.items() if n} for key, sums in totals.items()}
    return {key: sums for key, sums in kept.items() if sums}


def test_a_correction_without_a_rating_is_noticed() -> None:
    made = world(1)
    events = [one for page in differences(made) for one in corrections(page)]
    assert {one.rating for one in events} == {None}
    assert billing(made.charges, charged(made, events)) != billing(made.charges, wanted(made))


def test_a_correction_at_one_of_several_ratings_is_noticed() -> None:
    """The mutant gives all that is wrong with a key to the first rating of its lines."""
    made = world(2)
    found = differences(made)
    split_by_rating(found, Store(made), made.rater_at)  # type: ignore[arg-type]
    for page in found:
        page.ratings = {key: {next(iter(ratings)): page.billing[key]} for key, ratings in page.ratings.items()}
    events = [one for page in found for one in corrections(page)]
    assert billing(made.charges, charged(made, events)) != billing(made.charges, wanted(made))


def test_where_a_key_has_one_rating_no_raw_event_is_read() -> None:
    made = World([price("a/one", 7)], [1, 1], [calls(1), calls(1)[:5]])
    found, store = differences(made), Store(made)
    split_by_rating(found, store, made.rater_at)  # type: ignore[arg-type]
    assert store.asked == ["lines_of_pages"]
    events = [one for page in found for one in corrections(page)]
    assert billing(made.charges, charged(made, events)) == billing(made.charges, wanted(made))


def test_ids_of_what_was_never_rated_are_those_of_before_there_were_prices() -> None:
    made = World([], [0], [calls(1, 3)])
    page = PageDifference(0, 0, *(expected(topic, made.metered[0]) for topic in (BILLING, MARKET)))
    before = [one.event_id for one in corrections(page)]
    page.ratings = {key: {UNRATED: measures} for key, measures in page.billing.items()}
    after = corrections(page)
    assert [one.event_id for one in after] == before
    assert {one.rating for one in after} == {UNRATED}
    page.ratings = {key: {"||default|": measures} for key, measures in page.billing.items()}
    assert not {one.event_id for one in corrections(page)} & set(before)


assert set(COUNTS) == set(MEASURES[BILLING])
