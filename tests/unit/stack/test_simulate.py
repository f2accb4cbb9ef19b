"""The simulated market before it is put anywhere: parts add up, seeds differ only in between, published bounds hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from support.published import WEEKS_OF_2025
from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES, MARKET_KEYS
from tokenmeter.stack.simulate import facts
from tokenmeter.stack.simulate.daily import daily
from tokenmeter.stack.simulate.figures import money
from tokenmeter.stack.simulate.lines import Span
from tokenmeter.stack.simulate.market import Market, market, months_before, span
from tokenmeter.stack.simulate.shares import divide, divide_each
from tokenmeter.stack.simulate.store import stretch_count
from tokenmeter.stack.simulate.weekly import Weekly, mondays, weekly

FIRST, LAST = date(2025, 5, 26), date(2026, 11, 25)


def weeks(seed: int, last: date = LAST) -> Weekly:
    return weekly(facts.offers(), facts.weeks(), facts.pins(), mondays(FIRST, last), seed)


@pytest.fixture(scope="module")
def made() -> Market:
    return market(Span(date(2025, 9, 29), datetime(2025, 11, 3, tzinfo=UTC)), seed=1)


def test_what_is_divided_adds_up_to_the_token() -> None:
    chance = np.random.default_rng(1)
    for total in (0, 1, 7, 10**15 + 1):
        for size in (1, 3, 1_000):
            parts = divide(total, chance.lognormal(0, 3, size))
            assert int(parts.sum()) == total
            assert int(parts.min()) >= 0
    totals, group = np.array([10, 0, 10**14 + 3]), np.array([0, 0, 0, 1, 2, 2])
    parts = divide_each(totals, group, np.array([1.0, 1, 1, 5, 1, 1e-9]))
    assert np.bincount(group, parts).astype(np.int64).tolist() == totals.tolist()
    assert parts[:3].tolist() == [4, 3, 3]


def test_each_known_week_is_exact_for_any_seed_and_the_rest_differs() -> None:
    one, other = weeks(1), weeks(2)
    place = {monday: number for number, monday in enumerate(one.mondays)}
    index = {(offer.model, offer.variant): number for number, offer in enumerate(facts.offers())}
    for seeded in (one, other):
        for week in facts.weeks():
            if week.monday in place:
                at = place[week.monday]
                assert int(seeded.by_offer[at].sum()) == sum(week.by_origin)
                assert int(seeded.named_apps[at]) == week.named_apps
                assert int(seeded.openclaw[at]) == week.openclaw
        for pin in facts.pins():
            assert int(seeded.by_offer[place[pin.monday], index[pin.model, pin.variant]]) == pin.tokens
            free = np.delete(seeded.by_offer[place[pin.monday]], [index[p.model, p.variant] for p in facts.pins()])
            assert int(free.max()) < pin.tokens
    assert (one.by_offer != other.by_offer).mean() > 0.6, "but for what is not there yet"
    assert (weeks(1).by_offer == one.by_offer).all(), "the same seed gives the same market"
    shorter = weeks(1, LAST - timedelta(days=70))
    assert len(shorter.mondays) == len(one.mondays) - 10


def test_the_weeks_of_2025_are_within_the_published_range() -> None:
    low, high = WEEKS_OF_2025
    made = weeks(1)
    totals = [int(row.sum()) for monday, row in zip(made.mondays, made.by_offer, strict=True) if monday.year == 2025]
    assert len(totals) == 32
    assert all(low * 10**12 <= total <= high * 10**12 for total in totals)


def test_no_model_is_used_before_it_is_there() -> None:
    offers, made = facts.offers(), weeks(1)
    launch = np.array([offer.launched.toordinal() for offer in offers])
    end = np.array([monday.toordinal() + 6 for monday in made.mondays])
    assert not made.by_offer[end[:, None] < launch].any()


def test_days_add_up_to_their_weeks_and_parts_stay_within_the_whole() -> None:
    whole = weeks(1)
    days = daily(whole, 1)
    first = whole.mondays[0].toordinal()
    by_week = pl.DataFrame({"week": (days.day - first) // 7, "t": days.total, "n": days.named, "o": days.openclaw})
    sums = by_week.group_by("week").sum().sort("week")
    assert sums["t"].to_list() == whole.by_offer.sum(axis=1).tolist()
    assert sums["n"].to_list() == whole.named_apps.tolist()
    assert sums["o"].to_list() == whole.openclaw.tolist()


def test_lines_are_lines_as_the_meter_writes_them(made: Market) -> None:
    lines = made.lines
    assert set(MARKET_KEYS) <= set(lines.columns)
    assert set(lines["context_bucket"]) <= set(CONTEXT_BUCKET_NAMES)
    assert lines["occurred_hour"].is_sorted()
    assert lines.select(pl.struct("partition", "first_offset", "line", "occurred_hour").is_unique().all()).item()
    wrong = lines.filter(
        (pl.col("cached_input_tokens") + pl.col("cache_write_tokens") > pl.col("input_tokens"))
        | (pl.col("reasoning_tokens") > pl.col("output_tokens"))
        | (pl.col("errors") > pl.col("events"))
        | (pl.col("rate_limited") > pl.col("errors"))
        | (pl.min_horizontal(pl.selectors.integer()) < 0)
    )
    assert wrong.height == 0
    per_call = (lines["input_tokens"].sum() + lines["output_tokens"].sum()) / lines["events"].sum()
    assert per_call == pytest.approx(6_400, rel=0.03)


def test_the_routers_revenue_is_over_what_was_published(made: Market) -> None:
    """Over $10 M a year in October 2025: what it takes above its suppliers' prices, of four weeks."""
    october = made.lines.filter(pl.col("occurred_hour").dt.date().is_between(date(2025, 10, 6), date(2025, 11, 2)))
    assert (october["charge"].sum() - october["cost"].sum()) * 13 > Decimal(10_000_000)


def test_the_revenue_of_2026_is_over_what_was_published() -> None:
    """Over $50 M a year in 2026: of a week, the first of April, by list prices alone."""
    week = market(Span(date(2026, 4, 6), datetime(2026, 4, 13, tzinfo=UTC)), seed=1).lines
    assert (week["charge"].sum() - week["cost"].sum()) * 52 > Decimal(50_000_000)


def test_money_is_exact_in_pico_dollars() -> None:
    pico = np.array([0, 1, 10**18 + 1, -5])
    assert money(pico).to_list() == [Decimal(int(one)).scaleb(-12) for one in pico]


def test_calls_are_a_sample_of_the_last_week_of_simulated_customers(made: Market) -> None:
    calls = made.calls
    assert calls["event_id"].is_unique().all()
    assert set(calls["source"]) == {"simulated"}
    assert calls["customer_id"].str.starts_with("simulated-").all()
    low, high = calls["occurred_at"].min(), calls["occurred_at"].max()
    assert isinstance(low, datetime) and isinstance(high, datetime)
    assert datetime(2025, 10, 27, tzinfo=UTC) <= low < high < datetime(2025, 11, 3, tzinfo=UTC)


def test_months_end_where_months_end() -> None:
    assert months_before(date(2026, 8, 31), 18) == date(2025, 2, 28)
    assert months_before(date(2026, 1, 15), 1) == date(2025, 12, 15)
    assert span(datetime(2026, 11, 26, 12, 59, tzinfo=UTC), 18) == Span(
        date(2025, 5, 26), datetime(2026, 11, 26, 12, tzinfo=UTC)
    )


def test_where_nothing_is_missing_nothing_is_put(made: Market) -> None:
    """In the first hour of a day the day's template has all there is."""
    assert stretch_count(made) > 0
    assert stretch_count(replace(made, lines=made.lines.clear())) == 0
