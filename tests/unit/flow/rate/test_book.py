"""Each rule of pricing.md by hand, one call at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from support.catalog_rows import LONG_AGO, account, book, plan, price
from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.rating import Level
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.matching import Call

TURN = datetime(2026, 11, 4, 16, tzinfo=UTC)  # a Wednesday
MICROSECOND = timedelta(microseconds=1)


def call(**fields: Any) -> Call:
    return Call(**{"customer_id": "leaf", "model": "a/one", "provider": "p1", **fields})


def chosen(rows: list[CatalogRow], at: datetime = TURN, **fields: Any) -> str | None:
    return book(*rows).rating(call(**fields), at).price_id


def minute(weekday: int, hour: int, minutes: int = 0) -> datetime:
    """A time of the week that begins on Monday, 2 November 2026."""
    return datetime(2026, 11, 2, tzinfo=UTC) + timedelta(days=weekday, hours=hour, minutes=minutes)


def test_a_price_takes_effect_to_the_microsecond() -> None:
    before, after = price(units=1), price(units=2, effective_from=TURN)
    found = [chosen([before, after], TURN + offset) for offset in (-MICROSECOND, 0 * MICROSECOND, MICROSECOND)]
    assert found == [before.row_id, after.row_id, after.row_id]


def test_of_rows_for_one_time_the_later_in_the_log_counts_and_late_rows_do_not_go_before_newer_ones() -> None:
    first, second = price(units=1, effective_from=TURN), price(units=2, effective_from=TURN)
    assert chosen([first, second]) == second.row_id
    assert chosen([second, first]) == first.row_id
    assert chosen([first, price(units=3)]) == first.row_id, "it came later but took effect before"


def test_a_book_knows_only_what_lies_below_its_offset() -> None:
    one, two = price(units=1), price(units=2)
    small = book(one)
    large = small.extended([(1, two)], 2)
    assert [each.rating(call(), TURN).price_id for each in (small, large)] == [one.row_id, two.row_id]
    assert (small.price(two.row_id), large.price(two.row_id)) == (None, two)
    assert (small.catalog_offset, large.catalog_offset) == (1, 2)


def test_a_withdrawn_price_matches_nothing_and_a_wider_one_counts_again() -> None:
    wide, own = price("a/*", 1), price("a/one", 2)
    gone = price("a/one", 2, withdrawn=True, effective_from=TURN)
    rows: list[CatalogRow] = [wide, own, gone]
    assert chosen(rows, TURN - MICROSECOND) == own.row_id
    assert chosen(rows) == wide.row_id
    assert chosen([own, gone]) is None


def test_a_free_call_is_priced_only_by_a_row_that_says_free() -> None:
    every, free = price(units=1), price(units=0, variant="free")
    assert chosen([every], variant="free") is None
    assert chosen([every, free], variant="free") == free.row_id
    assert chosen([every, free]) == every.row_id
    assert chosen([every, free], variant="batch") == every.row_id


def test_a_model_without_an_author_is_matched_by_its_name_and_by_every_model() -> None:
    assert chosen([price("one/*", 1)], model="one") is None
    assert chosen([star := price("*", 1)], model="one") == star.row_id
    assert chosen([deep := price("a/*", 1)], model="a/b/c") == deep.row_id
    assert chosen([price("a/b/*", 1)], model="a/b/c") is None


# Each is better than all after it, whatever else these have.
ORDERED: list[PriceTerms] = [
    price("*", 1, variant="batch"),
    price("a/one", 1),
    price("a/*", 1, service_tier="flex"),
    price("a/*", 1, provider="p1"),
    price("a/*", 1, min_input_tokens=100),
    price("a/*", 1, min_input_tokens=50, window_start_minute=900, window_end_minute=1_000),
    price("a/*", 1, window_start_minute=900, window_end_minute=1_000),
    price("a/*", 1, weekdays=0b100),
    price("a/*", 1, weekdays=0b111),
    price("a/*", 1),
    price("*", 1, service_tier="flex", provider="p1", min_input_tokens=120),
    price("*", 1),
]


@pytest.mark.parametrize("position", range(len(ORDERED)))
def test_the_most_specific_price_counts(position: int) -> None:
    rows: list[CatalogRow] = [*reversed(ORDERED[position:])]
    found = chosen(rows, variant="batch", service_tier="flex", input_tokens=150)
    assert found == ORDERED[position].row_id


def test_of_equal_rows_the_greater_row_id_counts_wherever_it_lies() -> None:
    one = price(units=1, window_start_minute=900, window_end_minute=1_000)
    two = price(units=2, window_start_minute=900, window_end_minute=1_001)
    greater = max(one.row_id, two.row_id)
    assert chosen([one, two]) == chosen([two, one]) == greater


def test_a_named_tier_provider_or_variant_is_for_no_other_call() -> None:
    rows: list[CatalogRow] = [
        price(service_tier="flex"),
        price(provider="p2"),
        price(variant="batch"),
        price("b/*"),
        price("a/two"),
    ]
    assert chosen(rows) is None


@pytest.mark.parametrize(("tokens", "tier"), [(0, 0), (199_999, 0), (200_000, 1), (10**12, 1)])
def test_a_tier_is_judged_by_the_call_alone(tokens: int, tier: int) -> None:
    rows = [price(units=1), price(units=2, min_input_tokens=200_000)]
    assert chosen([*rows], input_tokens=tokens) == rows[tier].row_id


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = price(window_start_minute=22 * 60, window_end_minute=2 * 60, weekdays=0b1_1111)
    inside = {
        minute(0, 21, 59): False,
        minute(0, 22): True,
        minute(0, 23, 59): True,
        minute(1, 0): True,
        minute(1, 1, 59): True,
        minute(1, 2): False,
        minute(0, 1): False,  # Sunday's night
        minute(4, 23): True,
        minute(5, 1): True,  # Friday's night
        minute(5, 22): False,
        minute(6, 1): False,
    }
    assert {at: chosen([night], at) is not None for at in inside} == inside
    sunday = price(window_start_minute=22 * 60, window_end_minute=2 * 60, weekdays=0b100_0000)
    assert [chosen([sunday], minute(day, 1)) is not None for day in (0, 6)] == [True, False]


def test_a_window_that_ends_as_it_starts_lasts_a_day_and_days_alone_are_whole() -> None:
    shifted = price(window_start_minute=600, window_end_minute=600, weekdays=0b1)
    at = {minute(0, 9, 59): False, minute(0, 10): True, minute(1, 9, 59): True, minute(1, 10): False}
    assert {one: chosen([shifted], one) is not None for one in at} == at
    tuesdays = price(weekdays=0b10)
    at = {minute(0, 23, 59): False, minute(1, 0): True, minute(1, 23, 59): True, minute(2, 0): False}
    assert {one: chosen([tuesdays], one) is not None for one in at} == at


def test_a_window_is_in_utc_whatever_zone_the_time_is_told_in() -> None:
    evening = price(window_start_minute=16 * 60, window_end_minute=17 * 60)
    elsewhere = TURN.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert chosen([evening], elsewhere) == evening.row_id


def test_nobody_in_particular_pays_the_list_and_an_unknown_plan_prices_nothing() -> None:
    listed = price(units=100)
    assert chosen([listed]) == listed.row_id
    rating = book(listed, account("leaf", "gone")).rating(call(), TURN)
    assert (rating.price_id, rating.plan_id) == (None, "gone")
    own = book(listed, plan("default", margin_ppm=50_000))
    assert own.rating(call(), TURN).price_id == f"{listed.row_id}*1050000"


def test_an_override_goes_before_the_base_and_has_no_margin() -> None:
    listed, fixed = price("*", 100), price("a/one", 90, book="deal")
    made = book(listed, fixed, plan("p", margin_ppm=50_000, override_book="deal"), account("leaf", "p"))
    assert made.rating(call(), TURN).price_id == fixed.row_id
    assert made.rating(call(model="a/two"), TURN).price_id == f"{listed.row_id}*1050000"


def test_a_price_in_another_currency_does_not_apply_and_no_other_is_tried() -> None:
    yuan, dollars = price("a/one", 1, currency="CNY", book="deal"), price("*", 2)
    made = book(yuan, dollars, plan("p", override_book="deal", currency="USD"), account("leaf", "p"))
    assert made.rating(call(), TURN).price_id is None
    assert made.rating(call(model="a/two"), TURN).price_id == dollars.row_id


def chain_of(length: int, base: str | None = None, margin_ppm: int = 100_000) -> Book:
    """A chain of accounts that each buy at what their parent pays, and 10 % more."""
    names = ["leaf", *(f"level {n}" for n in range(1, length))]
    rows: list[CatalogRow] = [price("*", 1_000_000, book="cost"), plan("buy", base, margin_ppm=margin_ppm)]
    rows += [account(name, "buy", parent) for name, parent in zip(names, [*names[1:], None], strict=True)]
    return book(*rows)


@pytest.mark.parametrize("length", range(1, 9))
def test_each_level_pays_what_its_parent_pays_and_its_own_margin(length: int) -> None:
    made = chain_of(length)
    rating = made.rating(call(), TURN)
    ids = [rating.price_id, *(level.price_id for level in rating.levels)]
    cost = rating.cost_price_id
    assert ids == [f"{cost}{'*1100000' * (length - number)}" for number in range(length)]
    units = [(made.units(one or "") or {})["input_tokens"] for one in ids]
    by_hand = [1_100_000, 1_210_000, 1_331_000, 1_464_100, 1_610_510, 1_771_561, 1_948_717, 2_143_589]
    assert units == by_hand[:length][::-1]


def test_a_chain_ends_after_eight_accounts_and_at_one_that_was_in_it() -> None:
    made = chain_of(12)
    assert len(made.chain_of("leaf", TURN)) == 8
    rating = made.rating(call(), TURN)
    assert rating.levels[-1] == Level("level 7", f"{rating.cost_price_id}*1100000"), "it pays us, at cost"
    circle = book(account("leaf", parent_id="a"), account("a", parent_id="b"), account("b", parent_id="a"))
    assert circle.chain_of("leaf", TURN) == ("leaf", "a", "b")
    assert book(account("leaf", parent_id="leaf")).chain_of("leaf", TURN) == ("leaf",)


def test_a_level_without_a_price_is_unpriced_there_and_never_inherited() -> None:
    rows: list[CatalogRow] = [
        price("*", 1_000, book="list"),
        plan("list", margin_ppm=10_000),
        plan("buy", None, margin_ppm=20_000),
        account("leaf", "list", "middle"),
        account("middle", "gone", "top"),
        account("top", "list"),
    ]
    rating = book(*rows).rating(call(), TURN)
    assert [level.price_id is None for level in rating.levels] == [True, False]
    assert rating.price_id is not None
    buying = book(*rows, account("leaf", "buy", "middle")).rating(call(), TURN)
    assert buying.price_id is None, "it buys at a price that is not known"


def test_a_byok_call_is_charged_each_level_its_own_fee_and_costs_nothing() -> None:
    listed = price()
    rows: list[CatalogRow] = [
        listed,
        price("*", 1_000_000, book="cost"),
        plan("leaf", None, margin_ppm=100_000, byok_fee_ppm=50_000),
        plan("top", None, margin_ppm=200_000, byok_fee_ppm=20_000),
        account("leaf", "leaf", "top"),
        account("top", "top"),
    ]
    rating = book(*rows).rating(call(byok=True), TURN)
    assert rating.price_id == f"{listed.row_id}*50000", "a fee on list, whatever the plan's base and margin"
    assert rating.levels == (Level("top", f"{listed.row_id}*20000"),)
    assert rating.cost_price_id == "byok"
    assert book(*rows[1:]).rating(call(byok=True), TURN).price_id is None, "no list price, no fee"
    assert chosen([listed], byok=True) == f"{listed.row_id}*0", "the plan default has no fee"


def test_each_factor_rounds_half_to_even() -> None:
    row = price(units={"input_tokens": 5, "output_tokens": 15, "requests": 25})
    made = book(row).units(f"{row.row_id}*1100000*1000000*500000")
    assert made is not None
    # 5.5 -> 6 -> 3; 16.5 -> 16 -> 8; 27.5 -> 28 -> 14
    assert (made["input_tokens"], made["output_tokens"], made["requests"]) == (3, 8, 14)


def test_a_unit_above_the_greatest_price_is_none() -> None:
    row = price(units={"input_tokens": 10**18, "output_tokens": 1})
    made = book(row)
    assert made.units(row.row_id) is not None
    assert made.units(f"{row.row_id}*1000001") is None
    assert made.units(f"{row.row_id}*2000000*1000") is None, "after any factor"
    over = book(row, plan("default", margin_ppm=1))
    assert over.rating(call(), TURN).price_id is None


def test_accounts_and_plans_change_at_their_time() -> None:
    rows: list[CatalogRow] = [
        price("*", 1_000),
        plan("thin", margin_ppm=10_000),
        plan("thin", margin_ppm=20_000, effective_from=TURN),
        account("leaf", "thin", "old"),
        account("leaf", "thin", "new", effective_from=TURN + MICROSECOND),
    ]
    made = book(*rows)
    seen = [made.rating(call(), TURN + offset) for offset in (-MICROSECOND, 0 * MICROSECOND, MICROSECOND)]
    assert [(one.price_id or "").partition("*")[2] for one in seen] == ["1010000", "1020000", "1020000"]
    assert [one.levels[0].account_id for one in seen] == ["old", "old", "new"]
    assert made.rating(call(), LONG_AGO - MICROSECOND).price_id is None
