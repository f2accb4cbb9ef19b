"""Prices, accounts and plans as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest

from tokenmeter.events.catalog import Account, Plan, PriceTerms
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.account_terms import account_of, base_shown, percent, plan_of, ppm
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import changes
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.proposed import Rejected
from tokenmeter.stack.prices.shown import line, write_csv
from tokenmeter.stack.prices.table import read_prices
from tokenmeter.stack.prices.terms import price_of
from tokenmeter.stack.prices.windows import Window, days, from_midnight, hours, in_zone, shown_days

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def written(**columns: str) -> PriceTerms:
    return price_of({"model": "a/one", **columns}, JUNE)


def test_a_price_is_per_million_and_what_is_not_given_costs_as_its_whole() -> None:
    units = written(input="0.30", output="1.10", cache_write="0.375").units_pico()
    assert units["input_tokens"] == 300_000
    assert units["cached_input_tokens"] == units["input_audio_tokens"] == units["input_image_tokens"] == 300_000
    assert units["cache_write_tokens"] == units["cache_write_1h_tokens"] == 375_000
    assert units["output_tokens"] == units["reasoning_tokens"] == units["output_audio_tokens"] == 1_100_000
    assert units["requests"] == units["web_searches"] == units["video_seconds"] == 0
    assert written(second="0.006", search="0.01").units_pico()["video_seconds"] == 6_000_000_000


def test_thresholds_are_the_first_token_above() -> None:
    assert written(input="1", output="1", above_tokens="200k").min_input_tokens == 200_001
    assert written(input="1", output="1", above_tokens="128,000").min_input_tokens == 128_001
    with pytest.raises(ValueError, match="no number of tokens"):
        written(input="1", output="1", above_tokens="many")


def test_windows_and_weekdays() -> None:
    night = written(input="1", output="1", window="22:00-02:00", weekdays="mon-fri")
    assert (night.window_start_minute, night.window_end_minute, night.weekdays) == (1320, 120, 0b001_1111)
    assert hours("00:00-24:00") == Window()
    assert hours("16:30-00:30") == Window(990, 30)
    assert (days("sat,sun"), days("fri-mon"), days("all")) == (0b110_0000, 0b111_0001, 127)
    assert [shown_days(days(text)) for text in ("mon-fri", "sat,sun", "wed")] == ["mon-fri", "sat,sun", "wed"]
    assert from_midnight(hours("22:00-02:00", days("mon"))) == [
        Window(1320, 0, days("mon")),
        Window(0, 120, days("mon")),
    ]
    assert from_midnight(hours("22:00-02:00")) == [Window(1320, 120)]
    for wrong in ("25:00-26:00", "noon-night", "22:00", "24:30-02:00"):
        with pytest.raises(ValueError, match="write it as 22:00"):
            hours(wrong)
    with pytest.raises(ValueError, match="weekday 'someday'"):
        days("someday")


def test_weekdays_of_another_time_zone() -> None:
    """Sunday 20:00 UTC is Monday in Shanghai, which begins at 16:00 UTC."""
    assert in_zone(hours("10:00-20:00", days("mon-fri")), "Asia/Shanghai") == [
        Window(600, 960, days("mon-fri")),
        Window(960, 1200, days("sun-thu")),
    ]
    assert in_zone(hours("00:00-24:00", days("sat,sun")), "Asia/Shanghai") == [
        Window(0, 960, days("sat,sun")),
        Window(960, 0, days("fri,sat")),
    ]
    assert in_zone(hours("00:00-24:00", days("sat")), "UTC") == [Window(None, None, days("sat"))]
    for zone in ("Europe/Berlin", "Mars/Crater"):
        with pytest.raises(ValueError, match=r"change in the year|is not known"):
            in_zone(Window(0, 60), zone)


def test_free_is_a_price_of_nothing_for_the_variant_free() -> None:
    free = written(free="yes")
    assert (free.variant, set(free.units_pico().values())) == ("free", {0})
    assert written(free="yes", variant="batch").variant == "batch"
    for wrong in ({"free": "yes", "input": "1"}, {}, {"free": "maybe"}):
        with pytest.raises(ValueError, match=r"give one of the two|no price is given|write yes or no"):
            written(**wrong)


def test_a_wrong_word_names_its_column() -> None:
    with pytest.raises(ValueError, match="input '1,5' is no amount"):
        written(input="1,5")
    with pytest.raises(ValueError, match="no column is called inptu"):
        written(inptu="1")
    with pytest.raises(ValueError, match="input: Input should be less than or equal to"):
        written(input="1e13")
    with pytest.raises(ValueError, match="model 'a/b\\*'"):
        price_of({"model": "a/b*", "input": "1"}, JUNE)
    with pytest.raises(ValueError, match="write it as 2026-12-01"):
        written(input="1", **{"from": "tomorrow"})


def test_a_table_tells_every_bad_line_at_once_and_none_is_kept() -> None:
    text = "model,input,output\na/one,1,2\n# a remark\na/two,x,2\n,1,2\na/three,1,2,9\n"
    with pytest.raises(Rejected) as raised:
        read_prices(text, "t.csv", Options(JUNE))
    assert [str(one).partition(": ")[0] for one in raised.value.problems] == ["t.csv:4", "t.csv:5", "t.csv:6"]
    with pytest.raises(Misconfigured, match=r"t.csv:1: no column is called price"):
        read_prices("model,price\na/one,1\n", "t.csv", Options(JUNE))


def test_what_is_listed_as_csv_reads_back_the_same() -> None:
    rows = [
        written(input="0.30", output="1.10", cached_input="0.03", note="a, remark"),
        written(input="0.60", output="2.2", above_tokens="200k", tier="flex", book="cost", provider="host"),
        written(input="0.15", output="0.55", window="22:00-02:00", weekdays="mon-fri", currency="EUR"),
        written(input="0", output="0", reasoning="3", request="0.001", provisional="yes", provider="host"),
        written(free="yes"),
    ]
    out = StringIO()
    write_csv(rows, out)
    back = read_prices(out.getvalue(), "t.csv", Options(JUNE))
    known = Catalog().extended(rows)
    again = changes(known, back.rows)
    assert (again.rows, again.unchanged, again.twice) == ([], len(rows), [])


def test_a_price_in_a_line() -> None:
    assert line(written(input="0.30", output="1.10", request="0.01")) == "input 0.3, output 1.1 USD/M, 0.01 a request"
    assert line(written(withdraw="yes")) == "withdrawn"


def test_percentages_are_whole_parts_per_million() -> None:
    assert [ppm(text) for text in ("+5.5%", "-30%", "5 %", "0.0001%")] == [55_000, -300_000, 50_000, 1]
    assert [percent(parts) for parts in (55_000, -300_000, 0, 1)] == ["+5.5%", "-30%", "+0%", "+0.0001%"]
    for wrong in ("5.5", "+5.5 percent", "0.00001%"):
        with pytest.raises(ValueError, match=r"percentage|finer than"):
            ppm(wrong)


def test_an_account_keeps_what_is_not_named() -> None:
    before = account_of(
        {"account": "acme", "plan": "gold", "limit": "500", "thresholds": "80, 50%", "mode": "prepaid"}, JUNE
    )
    assert (before.credit_limit, before.thresholds_percent, before.mode) == (Decimal(500), (50, 80), "PREPAID")
    after = account_of({"account": "acme", "status": "suspended", "limit": "none"}, JUNE, before)
    assert (after.plan_id, after.status, after.credit_limit, after.mode) == ("gold", "SUSPENDED", None, "PREPAID")
    assert isinstance(after, Account)
    with pytest.raises(ValueError, match="mode: Input should be 'PREPAID' or 'POSTPAID'"):
        account_of({"account": "acme", "mode": "sometimes"}, JUNE)
    with pytest.raises(ValueError, match="limit -5 is negative"):
        account_of({"account": "acme", "limit": "-5"}, JUNE)


def test_a_plan_is_a_base_and_a_margin() -> None:
    retail = plan_of({"plan": "retail", "base": "cost", "margin": "+5.5%", "byok_fee": "5%"}, JUNE)
    assert (retail.base, retail.base_book, retail.margin_ppm, retail.byok_fee_ppm) == ("BOOK", "cost", 55_000, 50_000)
    assert base_shown(retail) == "cost +5.5%"
    passed = plan_of({"plan": "retail", "base": "buy"}, JUNE, retail)
    assert (passed.base, passed.base_book, passed.margin_ppm) == ("BUY", None, 55_000)
    assert base_shown(plan_of({"plan": "p"}, JUNE)) == "list"
    assert isinstance(passed, Plan)
    with pytest.raises(ValueError, match="margin_ppm"):
        plan_of({"plan": "p", "margin": "-101%"}, JUNE)
