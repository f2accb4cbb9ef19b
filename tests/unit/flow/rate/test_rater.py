"""What the columns say: exact amounts, what is not counted, numbers that stay, levels of lines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from support.catalog_rows import account, book, frame, plan, price
from support.events import NOW, event
from support.rated_lines import billing
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import PRICED_FIELDS, latest
from tokenmeter.events.rating import Level, Rating, levels_of
from tokenmeter.flow.rate import rater as rater_module
from tokenmeter.flow.rate.charging import UNPRICED, UnitPrices
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING, TERMS
from tokenmeter.flow.rate.rater import BookRater

PLAIN = dict.fromkeys(
    [name for name in PRICED_FIELDS if name != "requests"],
    0,
)


def call(number: int = 0, **fields: Any) -> UsageEvent:
    made = {"customer_id": "leaf", "model": "a/one", "provider": "p1", "status": 200, "occurred_at": NOW}
    return event(number, **{**PLAIN, **made, **fields})


def charges(rater: BookRater, *calls: UsageEvent) -> list[int | None]:
    return rater.rate(frame(calls))[CHARGE_PICO].to_list()


def test_a_part_is_charged_at_its_own_price_instead_of_its_wholes() -> None:
    units = {"input_tokens": 1_000, "cached_input_tokens": 100, "output_tokens": 5_000, "reasoning_tokens": 7_000}
    rater = BookRater(book(price(units=units)))
    used = call(input_tokens=100, cached_input_tokens=60, output_tokens=10, reasoning_tokens=4)
    assert charges(rater, used) == [40 * 1_000 + 60 * 100 + 6 * 5_000 + 4 * 7_000]


def test_amounts_beyond_64_bits_are_exact() -> None:
    dear = dict.fromkeys(PRICED_FIELDS, 10**18)
    rater = BookRater(book(price(units=dear), price(units={**dear, "input_tokens": 10**18 - 1}, book="cost")))
    huge = call(input_tokens=10**12, output_tokens=10**12, images_in=10**12, video_seconds=10**12)
    rated = rater.rate(frame([huge, call(1, input_tokens=1)]))
    assert rated.schema[CHARGE_PICO] == rated.schema[COST_PICO] == pl.Int128
    assert rated[CHARGE_PICO].to_list() == [4 * 10**30 + 10**18, 2 * 10**18]
    assert rated[COST_PICO].to_list() == [4 * 10**30 + 10**18 - 10**12, 2 * 10**18 - 1]


def test_a_failed_call_is_no_request_but_its_tokens_are_charged() -> None:
    rater = BookRater(book(price(units={"requests": 1_000_000, "input_tokens": 1})))
    outcomes = [{}, {"status": 399}, {"status": 400}, {"error_class": "timeout"}]
    assert charges(rater, *(call(n, input_tokens=7, **one) for n, one in enumerate(outcomes))) == [
        1_000_007,
        1_000_007,
        7,
        7,
    ]
    back = {"kind": "CORRECTION", "corrects": "x", "input_tokens": -7}
    assert charges(rater, call(calls=-2, **back), call(1, calls=-2, status=500, **back)) == [-2_000_007, -7]


def test_unpriced_is_null_and_a_price_of_nothing_is_zero() -> None:
    rater = BookRater(book(price(variant="free")))
    rated = rater.rate(frame([call(input_tokens=9), call(1, input_tokens=9, variant="free"), call(2, byok=True)]))
    assert rated[CHARGE_PICO].to_list() == [None, 0, None]
    assert rated[COST_PICO].to_list() == [None, None, 0]
    assert rated["currency"].to_list() == [None, "USD", None]
    assert rated["cost_currency"].to_list() == [None, None, None]


def test_no_event_is_no_row() -> None:
    rater = BookRater(book(price()))
    empty = rater.rate(frame([call()]).clear())
    assert (empty.height, empty.schema[RATING], empty.schema[CHARGE_PICO]) == (0, pl.Int32, pl.Int128)
    assert rater.terms([]).columns == [RATING, *TERMS]


def test_a_change_within_a_batch_splits_it_and_a_late_call_is_rated_by_its_own_time() -> None:
    turn = datetime(2026, 11, 4, 16, tzinfo=UTC)
    before, after = price(units=1), price(units=2, effective_from=turn)
    rater = BookRater(book(before, after))
    times = [turn + timedelta(microseconds=offset) for offset in (-1, 0, 1)] + [turn - timedelta(days=9)]
    rated = rater.rate(frame([call(n, occurred_at=at, input_tokens=1) for n, at in enumerate(times)]))
    assert rated[CHARGE_PICO].to_list() == [1, 2, 2, 1]
    lines = billing(rated, rater).sort("occurred_hour")
    assert lines["price_id"].to_list() == [before.row_id, before.row_id, after.row_id]


def test_equal_ids_have_one_number_and_numbers_keep_their_meaning() -> None:
    rater = BookRater(book(price("*", 1), price("*", 2, min_input_tokens=50), price("*", 3, book="other")))
    first = rater.rate(frame([call(0, model="a/one"), call(1, model="b/two", customer_id="someone else")]))
    assert first[RATING].n_unique() == 1
    terms = rater.terms(first[RATING].unique().to_list())
    rater.rate(frame([call(2, input_tokens=60), call(3, model="c")]))
    assert rater.terms(first[RATING].unique().to_list()).equals(terms)
    number = first[RATING][0]
    assert rater.terms([number, number])["price_id"].n_unique() == 1


def test_a_correction_is_charged_by_its_rating_and_an_unknown_id_is_null_there() -> None:
    old, now = price(units=3), price(units=50)
    rater = BookRater(book(old, now))
    levels = (Level("a;b@c", f"{old.row_id}*2000000"), Level("top", "pffff"))
    known = Rating(f"{old.row_id}*500000", old.row_id, "gone", levels)
    unknown = Rating("pffff*7", "pffff", None)
    byok = Rating("byok", "byok", "default")
    texts = [None, known.text, unknown.text, byok.text, f"{old.row_id}{'*999999999999' * 4}|||"]
    made = {"kind": "CORRECTION", "corrects": "x", "input_tokens": -10}
    rated = rater.rate(frame([call(n, rating=text, **made) for n, text in enumerate(texts)]))
    assert rated[CHARGE_PICO].to_list() == [-500, -20, None, None, None]  # 1.5 is rounded to 2
    assert rated[COST_PICO].to_list() == [None, -30, None, 0, None]
    terms = rater.terms(rated[RATING].to_list())
    assert terms["plan_id"].to_list() == ["default", "gone", None, "default", None]
    assert levels_of(terms["chain"][1]) == (levels[0], Level("top", None))


def test_three_levels_with_different_plans_and_one_without() -> None:
    """R03: each level at its own plan; the missing one is unpriced there."""
    rows = [
        price("*", {"input_tokens": 1_000_000}),
        price("*", {"input_tokens": 700_000}, book="cost"),
        plan("retail", margin_ppm=55_000),
        plan("wholesale", "cost", margin_ppm=100_000),
        account("leaf", "retail", "shop"),
        account("shop", "unwritten", "importer"),
        account("importer", "wholesale"),
    ]
    rater = BookRater(book(*rows))
    lines = billing(rater.rate(frame([call(n, input_tokens=10) for n in range(3)])), rater)
    assert lines["charge"].sum() == 3 * 10 * 1_055_000
    resold = rater.resale(lines)
    assert resold.select("account_id", "seller_id", "level", "charge", "events", "input_tokens").rows() == [
        ("importer", None, 2, 30 * 770_000, 3, 30),
        ("shop", "importer", 1, None, 3, 30),
    ]
    assert resold["price_id"].is_null().to_list() == [False, True]
    assert resold["currency"].to_list() == ["USD", None]


def test_lines_without_levels_make_no_resale_lines() -> None:
    rater = BookRater(book(price("*", 1)))
    resold = rater.resale(billing(rater.rate(frame([call()])), rater))
    place = {"partition", "first_offset", "line"}
    assert resold.columns == [name for name in latest("resale_line").field_names if name not in place]
    assert (resold.height, resold.schema["charge"]) == (0, pl.Int128)


def test_two_chains_of_one_customer_that_share_a_level_share_its_line() -> None:
    turn = NOW.replace(minute=30)
    rows = [price("*", 100), account("leaf", "default", "shop"), account("shop", "default", "one")]
    rows += [account("shop", "default", "two", effective_from=turn)]
    rater = BookRater(book(*rows))
    lines = billing(rater.rate(frame([call(n, occurred_at=turn + timedelta(minutes=n - 1)) for n in range(3)])), rater)
    buyers = rater.resale(lines).select("account_id", "seller_id", "level", "events").rows()
    assert buyers == [("one", None, 2, 1), ("shop", "one", 1, 1), ("shop", "two", 1, 2), ("two", None, 2, 2)]


def test_a_rater_follows_the_catalog_and_keeps_what_still_holds() -> None:
    first = BookRater(book(price("*", 1), account("leaf")))
    number = first.rate(frame([call()]))[RATING][0]
    moved = first.follow([(2, account("leaf", "default", "shop")), (3, plan("default", margin_ppm=10**6))], 4)
    rated = moved.rate(frame([call(input_tokens=1), call(1, customer_id="another", input_tokens=1)]))
    assert rated[CHARGE_PICO].to_list() == [2, 2]
    assert moved.terms(rated[RATING].to_list())["chain"].is_null().to_list() == [False, True]
    assert charges(first, call(input_tokens=1)) == [1], "who holds the old one sees the old catalog"
    assert first.rate(frame([call()]))[RATING][0] == number
    dearer = moved.follow([(4, price("*", 50))], 5)
    assert charges(dearer, call(input_tokens=1)) == [100]
    assert [one.catalog_offset for one in (first, moved, dearer)] == [2, 4, 5]


def test_a_full_rater_is_followed_by_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rater_module, "KNOWN_MAX", 3)
    rater = BookRater(book(price("*", 1)))
    rater.rate(frame([call(n, model=f"a/{n}") for n in range(4)]))
    assert rater.is_full
    after = rater.follow([], rater.catalog_offset)
    assert not after.is_full
    assert charges(after, call(input_tokens=5)) == [5]


def test_threads_share_a_rater() -> None:
    rows = [price(f"a/{n}", n) for n in range(40)] + [account(f"c{n}", "default", f"d{n % 7}") for n in range(40)]
    rater = BookRater(book(*rows))

    def rated(seed: int) -> bool:
        calls = [
            call(n, model=f"a/{(n * seed) % 40}", customer_id=f"c{(n + seed) % 60}", input_tokens=1) for n in range(300)
        ]
        found = rater.rate(frame(calls))
        terms = rater.terms(found[RATING].to_list())
        wanted = [(n * seed) % 40 for n in range(300)]
        chains = [f"d{(n + seed) % 60 % 7}@" if (n + seed) % 60 < 40 else "" for n in range(300)]
        given = [(chain or "").partition("@")[0] for chain in terms["chain"]]
        return found[CHARGE_PICO].to_list() == wanted and given == [one.removesuffix("@") for one in chains]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(rated, range(1, 60)))


def test_unit_prices_grow_and_keep_their_lines() -> None:
    prices = UnitPrices(lambda row_id: {**dict.fromkeys(PRICED_FIELDS, 0), "requests": int(row_id[1:])})
    lines = [prices.line(f"p{number}") for number in range(3_000)]
    assert UNPRICED not in lines
    assert lines == [prices.line(f"p{number}") for number in range(3_000)]
    used = pl.DataFrame({"requests": [2] * len(lines)})
    found = prices.charge(used, pl.Series(lines, dtype=pl.Int32).to_numpy())
    assert found.to_list() == [2 * number for number in range(3_000)]
