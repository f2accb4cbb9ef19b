"""The oracle of charges against figures computed by hand from ``tokenmeter/events/pricing.md``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.events import event
from tokenmeter.audit.charges import Charges
from tokenmeter.events.catalog import Account, Plan, Price, PriceTerms
from tokenmeter.events.catalog_row import CHAIN_ACCOUNTS_MAX, CatalogRow, PlanBase
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.rating import Level, Rating

START = datetime(2026, 1, 1, tzinfo=UTC)
MONDAY = datetime(2026, 11, 2, 16, tzinfo=UTC)
US = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def price(**fields: Any) -> PriceTerms:
    """1 USD a million input tokens unless ``fields`` say otherwise; whole USD a million for the NAME_tokens given."""
    units = {f"{n}_price": Decimal(v).scaleb(-6) for n, v in fields.items() if n.endswith("_tokens") and n[0] != "m"}
    rest = {name: value for name, value in fields.items() if f"{name}_price" not in units}
    made = {"model": "a/one", "effective_from": START, "input_tokens_price": Decimal("0.000001"), **units, **rest}
    return Price(**made)


def account(account_id: str, parent_id: str | None = None, plan_id: str = "default", **fields: Any) -> Account:
    return Account(effective_from=START, account_id=account_id, parent_id=parent_id, plan_id=plan_id, **fields)


def plan(plan_id: str, **fields: Any) -> Plan:
    base: dict[str, Any] = {} if fields.get("base") == PlanBase.BUY else {"base_book": "list"}
    return Plan(**{"effective_from": START, "plan_id": plan_id, **base, **fields})


def catalog(*rows: CatalogRow) -> Charges:
    return Charges(enumerate(rows))


def call(at: datetime = MONDAY, **fields: Any) -> dict[str, Any]:
    """A call of customer c of a/one by provider p."""
    given = {"occurred_at": at, "customer_id": "c", "model": "a/one", "provider": "p", "status": 200, **fields}
    nothing = {**dict.fromkeys(QUANTITY_FIELDS, 0), "input_tokens": 1_000}
    return event(1, **{**nothing, **given}).to_record()


def counts(**given: int) -> dict[str, int]:
    return {**dict.fromkeys(QUANTITY_FIELDS, 0), "events": 0, "errors": 0, **given}


def paid(charges: Charges, one: dict[str, Any]) -> str | None:
    return charges.rating_of_event(one).price_id


def test_a_charge_is_the_sum_of_tokens_and_counts_at_their_prices() -> None:
    row = price(
        input_tokens=3,
        cached_input_tokens=1,
        output_tokens=10,
        reasoning_tokens=12,
        requests_price=Decimal("0.5"),
        web_searches_price=Decimal("0.01"),
    )
    found = counts(
        events=3,
        errors=1,
        input_tokens=1_000,
        cached_input_tokens=400,
        output_tokens=200,
        reasoning_tokens=50,
        web_searches=7,
    )
    # 600 at 3, 400 at 1, 150 at 10, 50 at 12 millionths: 4 300; 2 requests; 7 searches at a cent.
    assert catalog(row).charge(row.row_id, found) == 4_300_000_000 + 1_000_000_000_000 + 70_000_000_000


def test_a_correction_takes_back_what_it_charged() -> None:
    row = price(input_tokens=3, cached_input_tokens=1)
    charges = catalog(row)
    one = counts(events=1, input_tokens=1_000, cached_input_tokens=400)
    taken = {name: -number for name, number in one.items()}
    assert charges.charge(row.row_id, one) == 2_200_000_000 == -(charges.charge(row.row_id, taken) or 0)


def test_units_are_rounded_half_even_after_each_factor() -> None:
    row = price(input_tokens_price=Decimal("0.000000000005"), output_tokens_price=Decimal("0.000000000015"))
    units = catalog(row).units(f"{row.row_id}*1100000*900000")
    # 5 x 1.1 = 5.5 -> 6, x 0.9 = 5.4 -> 5; 15 x 1.1 = 16.5 -> 16, x 0.9 = 14.4 -> 14.
    assert units is not None and (units["input_tokens"], units["output_tokens"]) == (5, 14)


def test_m04_a_price_changes_on_the_microsecond() -> None:
    old, new = price(), price(effective_from=MONDAY, input_tokens=2)
    charges = catalog(new, old)
    assert [paid(charges, call(MONDAY + step)) for step in (-US, 0 * US, US)] == [old.row_id, new.row_id, new.row_id]
    assert charges.rating_of_event(call(), x=0).price_id is None  # nothing was known yet
    assert charges.rating_of_event(call(MONDAY + US), x=1).price_id == new.row_id
    assert charges.rating_of_event(call(MONDAY - US), x=1).price_id is None


def test_of_two_rows_from_one_time_the_later_on_the_topic_is_in_force() -> None:
    first, second = price(input_tokens=2), price(input_tokens=1)
    assert paid(catalog(first, second), call()) == second.row_id
    assert paid(catalog(second, first), call()) == first.row_id


def test_m04_a_window_over_midnight_belongs_to_the_weekday_on_which_it_started() -> None:
    always = price()
    night = price(window_start_minute=22 * 60, window_end_minute=2 * 60, weekdays=0b001_1111, input_tokens=5)
    charges = catalog(always, night)
    monday = MONDAY.replace(hour=0)
    in_window = {
        monday - MINUTE: False,  # Sunday 23:59
        monday: False,  # Monday 00:00 belongs to Sunday's night
        monday.replace(hour=2) - US: False,
        monday.replace(hour=22) - US: False,
        monday.replace(hour=22): True,
        monday + timedelta(days=1): True,
        monday + timedelta(days=1, hours=2) - US: True,
        monday + timedelta(days=1, hours=2): False,
        monday + timedelta(days=5) - US: True,  # Friday 23:59:59
        monday + timedelta(days=5, hours=1): True,  # Saturday 01:00 belongs to Friday's night
        monday + timedelta(days=5, hours=22): False,  # Saturday 22:00
        monday + timedelta(days=6, hours=1): False,
    }
    found = {at: paid(charges, call(at)) == night.row_id for at in in_window}
    assert found == in_window


def test_a_window_that_ends_where_it_starts_lasts_a_day_and_weekdays_count_without_a_window() -> None:
    noon = price(window_start_minute=720, window_end_minute=720, weekdays=0b1, input_tokens=5)
    tuesday = price(weekdays=0b10, input_tokens=7)
    charges = catalog(noon, tuesday)
    monday = MONDAY.replace(hour=12)
    assert [paid(charges, call(at)) for at in (monday - US, monday, monday + timedelta(days=1) - US)] == [
        None,
        noon.row_id,
        noon.row_id,
    ]
    assert paid(charges, call(monday + timedelta(days=1))) == tuesday.row_id


ORDER: tuple[dict[str, Any], ...] = (  # each beats all that follow
    {"model": "*", "variant": "fast"},
    {},
    {"model": "a/*", "service_tier": "flex"},
    {"model": "a/*", "provider": "p", "min_input_tokens": 5},
    {"model": "a/*", "provider": "p"},
    {"model": "a/*", "min_input_tokens": 1_000},
    {"model": "a/*", "min_input_tokens": 999},
    {"model": "a/*", "window_start_minute": 0, "window_end_minute": 0, "weekdays": 127},
    {"model": "a/*", "weekdays": 0b1},
    {"model": "a/*"},
    {"model": "*"},
)


def test_the_most_specific_price_of_a_book_is_taken() -> None:
    rows = [price(**terms) for terms in ORDER]
    for number, row in enumerate(rows):
        assert paid(catalog(*rows[number:]), call(variant="fast", service_tier="flex")) == row.row_id, ORDER[number]


@pytest.mark.parametrize(
    ("terms", "asked"),
    [
        ({"model": "a/two"}, {}),
        ({"model": "b/*"}, {}),
        ({"provider": "q"}, {}),
        ({"variant": "fast"}, {}),
        ({"service_tier": "flex"}, {}),
        ({"min_input_tokens": 1_001}, {}),
        ({}, {"variant": "free"}),
        ({"model": "one/*"}, {"model": "one"}),
        ({"book": "other"}, {}),
        ({"effective_from": MONDAY + US}, {}),
    ],
)
def test_a_call_without_a_matching_price_is_unpriced(terms: dict[str, Any], asked: dict[str, Any]) -> None:
    charges = catalog(price(**terms))
    rating = charges.rating_of_event(call(**asked))
    assert rating == Rating(None, None, "default")
    assert charges.charge(rating.price_id, counts(input_tokens=5)) is None


def test_a_withdrawn_price_hides_its_predecessor_alone() -> None:
    wide, row = price(model="a/*"), price()
    gone = price(effective_from=MONDAY, withdrawn=True)
    charges = catalog(wide, row, gone)
    assert [paid(charges, call(MONDAY - US)), paid(charges, call())] == [row.row_id, wide.row_id]


def test_a_free_call_is_priced_by_a_row_that_says_free_and_zero_is_a_price() -> None:
    free = price(variant="free", input_tokens=0)
    charges = catalog(price(), free)
    assert paid(charges, call(variant="free")) == free.row_id
    assert charges.charge(free.row_id, counts(input_tokens=5, events=1)) == 0


def test_r01_every_level_has_a_charge_and_margins_add_up_to_what_the_leaf_pays() -> None:
    cost, listed = price(book="cost", input_tokens=1), price(input_tokens=2)
    plans = [plan(f"l{n}", base=PlanBase.BUY, margin_ppm=100_000 * n) for n in range(1, 6)]
    top = account("l5", plan_id="l5")
    rows = [account(f"l{n}", f"l{n + 1}", f"l{n}") for n in range(1, 5)]
    charges = catalog(cost, listed, *plans, account("c", "l1", "default"), top, *rows)
    rating = charges.rating_of_event(call())
    c = cost.row_id
    assert rating == Rating(
        listed.row_id,
        c,
        "default",
        (
            Level("l1", f"{c}*1500000*1400000*1300000*1200000*1100000"),
            Level("l2", f"{c}*1500000*1400000*1300000*1200000"),
            Level("l3", f"{c}*1500000*1400000*1300000"),
            Level("l4", f"{c}*1500000*1400000"),
            Level("l5", f"{c}*1500000"),
        ),
    )
    found = [charges.charge(level.price_id, counts(input_tokens=1_000, events=1)) for level in rating.levels]
    # 1 USD a million: 1 000 tokens are a thousandth; times 1.5, 2.1, 2.73, 3.276, 3.6036.
    assert found == [3_603_600_000, 3_276_000_000, 2_730_000_000, 2_100_000_000, 1_500_000_000]
    paid_by_leaf, costs = charges.charge(rating.price_id, counts(input_tokens=1_000)), 1_000_000_000
    bought = [paid_by_leaf, *found]
    assert all(amount is not None for amount in bought)
    margins = [(sold or 0) - (buy or 0) for sold, buy in zip(bought, [*bought[1:], costs], strict=True)]
    assert costs + sum(margins) == paid_by_leaf == 2_000_000_000


def test_r03_a_level_without_a_price_is_unpriced_there_and_only_who_buys_at_it_is_too() -> None:
    listed = price(input_tokens=2)
    rows = (
        listed,
        plan("own", base_book="own"),  # a book without a price
        plan("resold", base=PlanBase.BUY, margin_ppm=55_000),
        plan("off", margin_ppm=-300_000),
        account("c", "shop", "off"),
        account("shop", "middle", "resold"),
        account("middle", "top", "own"),
        account("top", plan_id="off"),
    )
    rating = catalog(*rows).rating_of_event(call())
    assert rating.price_id == f"{listed.row_id}*700000"
    assert rating.levels == (Level("shop", None), Level("middle", None), Level("top", f"{listed.row_id}*700000"))
    nobody = catalog(listed, account("c", plan_id="forgotten")).rating_of_event(call())
    assert nobody == Rating(None, None, "forgotten")


def test_an_override_goes_before_the_base_and_without_margin() -> None:
    listed, fixed = price(), price(book="deal", input_tokens=9)
    rows = [plan("p", margin_ppm=100_000, override_book="deal"), account("c", plan_id="p")]
    assert paid(catalog(listed, fixed, *rows), call()) == fixed.row_id
    assert paid(catalog(listed, *rows), call()) == f"{listed.row_id}*1100000"


def test_a_price_in_another_currency_is_no_price_and_nothing_else_is_tried() -> None:
    listed, fixed = price(), price(book="deal", currency="EUR")
    rows = [plan("p", override_book="deal", currency="USD"), account("c", plan_id="p")]
    assert paid(catalog(listed, fixed, *rows), call()) is None
    assert paid(catalog(listed, *rows), call()) == listed.row_id


def test_a_byok_call_costs_nothing_and_each_level_pays_its_own_fee() -> None:
    listed, cost = price(input_tokens=2), price(book="cost")
    rows = (
        plan("leaf", base=PlanBase.BUY, margin_ppm=1_000_000, byok_fee_ppm=50_000),
        plan("top", margin_ppm=500_000, byok_fee_ppm=20_000),
        account("c", "d", "leaf"),
        account("d", plan_id="top"),
    )
    charges = catalog(listed, cost, *rows)
    rating = charges.rating_of_event(call(byok=True))
    row = listed.row_id
    assert rating == Rating(f"{row}*50000", "byok", "leaf", (Level("d", f"{row}*20000"),))
    found = counts(input_tokens=1_000, events=1)
    assert charges.charge(rating.price_id, found) == 100_000_000  # 2 thousandths x 5 %
    assert (charges.charge("byok", found), charges.currency("byok")) == (0, None)
    default = catalog(listed).rating_of_event(call(byok=True))
    assert default.price_id == f"{row}*0"  # no fee agreed: priced, at nothing


def test_the_last_account_of_a_circle_or_of_a_long_chain_counts_as_one_without_a_parent() -> None:
    cost = price(book="cost")
    buy = plan("buy", base=PlanBase.BUY)
    circle = catalog(cost, buy, account("c", "d", "buy"), account("d", "c", "buy")).rating_of_event(call())
    assert circle == Rating(cost.row_id, cost.row_id, "buy", (Level("d", cost.row_id),))
    names = ["c", *(f"a{n}" for n in range(CHAIN_ACCOUNTS_MAX + 3))]
    rows = [account(name, above, "buy") for name, above in zip(names, [*names[1:], None], strict=True)]
    long = catalog(cost, buy, *rows).rating_of_event(call())
    assert [level.account_id for level in long.levels] == names[1:CHAIN_ACCOUNTS_MAX]
    assert {level.price_id for level in long.levels} == {cost.row_id}


def test_a_correction_is_charged_by_the_ids_it_carries_or_else_as_a_call_of_its_time_and_size() -> None:
    row, large = price(), price(min_input_tokens=500, input_tokens=3)
    charges = catalog(row, large, account("c", "d"))
    correction = {**call(), "kind": "CORRECTION", "corrects": "e", "input_tokens": -1_000}
    assert charges.rating_of_event(correction) == Rating(large.row_id, None, "default", (Level("d", large.row_id),))
    carried = {**correction, "rating": f"{row.row_id}*900000|byok|gold|x%20y@{row.row_id};z@p00;v@"}
    rating = charges.rating_of_event(carried)
    levels = (Level("x y", row.row_id), Level("z", None), Level("v", None))
    assert rating == Rating(f"{row.row_id}*900000", "byok", "gold", levels)
    assert charges.rating_of_event(carried, x=0) == Rating(
        None, "byok", "gold", tuple(Level(n.account_id, None) for n in levels)
    )
    assert charges.rating_of_event({**correction, "rating": "byok|p00||"}) == Rating(None, None, None)


def test_a_unit_dearer_than_a_unit_may_be_is_no_price() -> None:
    row = price(input_tokens_price=Decimal(999_999), cached_input_tokens_price=Decimal(1))
    charges = catalog(row, plan("dear", margin_ppm=10), account("c", plan_id="dear"))
    assert paid(charges, call()) is None
    assert charges.units(f"{row.row_id}*1000001") is not None
    assert charges.units(f"{row.row_id}*1000002*1") is None


def test_provisional_and_currency_are_those_of_the_row() -> None:
    row = price(provisional=True, currency="EUR")
    charges = catalog(row)
    assert (charges.provisional(f"{row.row_id}*5"), charges.currency(f"{row.row_id}*5")) == (True, "EUR")
    assert (charges.provisional(None), charges.currency("p0"), charges.provisional(row.row_id, x=0)) == (
        False,
        None,
        False,
    )
