"""The columnar rater says of every call, to the last pico-unit, what pricing.md says read aloud in Decimal.

Random catalogs, chains, times and sizes; the controls are readings of one rule that are a little off, and must be seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from support import random_catalog
from support.catalog_rows import account, book, frame, plan, price
from support.pricing_oracle import WIDE, Oracle
from support.rated_lines import billing
from support.seeds import seeds
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import PRICED_FIELDS, QUANTITY_FIELDS
from tokenmeter.events.lines import BILLING_USAGE_KEYS, RESALE_KEYS
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.matching import Call
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.flow.rate.resale import COLUMNS

WORLDS, WORLDS_OFTEN = 40, 16
CALLS = 150

MakeOracle = Callable[[list[CatalogRow]], Oracle]


def as_rated(calls: list[UsageEvent], rater: BookRater) -> list[dict[str, Any]]:
    """What the rater says of each call, two batches after one another."""
    half = len(calls) // 2
    rated = pl.concat([rater.rate(frame(calls[:half])), rater.rate(frame(calls[half:]))])
    terms = {row[RATING]: row for row in rater.terms(sorted(set(rated[RATING]))).iter_rows(named=True)}
    return [
        {**terms[row[RATING]], "charge": row[CHARGE_PICO], "cost": row[COST_PICO], "in": row["currency"]}
        for row in rated.iter_rows(named=True)
    ]


def as_read(call: UsageEvent, oracle: Oracle) -> dict[str, Any]:
    """What the oracle says of a call, in the same words."""
    verdict = oracle.judge(call)
    leaf, *above = verdict.owed
    levels = [one and one.price_id for one in above]
    cost = verdict.cost
    return {
        "price_id": leaf and leaf.price_id,
        "cost_price_id": "byok" if call.byok else cost and cost.row.row_id,
        "plan_id": verdict.plan_id,
        "levels": list(zip(verdict.accounts[1:], levels, strict=True)),
        "currency": leaf and leaf.row.currency,
        "cost_currency": None if call.byok else cost and cost.row.currency,
        "provisional": leaf is not None and leaf.row.provisional,
        "charge": leaf and int(leaf.amount),
        "cost": 0 if call.byok else cost and int(cost.amount),
    }


def difference(seed: int, make_oracle: MakeOracle = Oracle) -> str | None:
    """The first call on which rater and oracle differ, in words."""
    chance = random.Random(seed)
    rows = random_catalog.rows(chance)
    calls = [random_catalog.call(chance, number) for number in range(CALLS)]
    calls += [random_catalog.correction(chance, CALLS + number, None) for number in range(CALLS // 5)]
    chance.shuffle(calls)
    book = Book(enumerate(rows), len(rows))
    oracle, audit = make_oracle(rows), Charges(enumerate(rows))
    for call, found in zip(calls, as_rated(calls, BookRater(book)), strict=True):
        wanted = as_read(call, oracle)
        single = book.rating(_call(call), call.occurred_at)
        if (audited := audit.rating_of_event(call.to_record())) != single:
            return f"{call}: {single} where the audit says {audited}"
        levels = [(level.account_id, level.price_id) for level in single.levels]
        wanted_chain = single.chain if levels == wanted.pop("levels") else f"not {levels}"
        if single.price_id != wanted["price_id"] or found.pop("in") != wanted["currency"]:
            return f"{call}: {single} for {wanted}"
        del found[RATING]
        if found != {**wanted, "chain": wanted_chain}:
            return f"{call}: {found} for {wanted} {wanted_chain}"
    return None


def _call(event: UsageEvent) -> Call:
    return Call(
        event.customer_id,
        event.model,
        event.provider,
        event.variant,
        event.service_tier,
        abs(event.input_tokens),
        event.byok,
    )


@pytest.mark.parametrize("seed", seeds(WORLDS, WORLDS_OFTEN))
def test_every_call_is_rated_as_the_page_says(seed: int) -> None:
    assert difference(seed) is None


def half_up(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=WIDE)


MUTANTS: dict[str, MakeOracle] = {
    "rounds half up": lambda rows: Oracle(rows, rounding=half_up),
    "judges a tier by all tokens": lambda rows: Oracle(rows, size_of=lambda c: abs(c.input_tokens + c.output_tokens)),
    "judges a correction's tier by its sign": lambda rows: Oracle(rows, size_of=lambda c: c.input_tokens),
    "knows one row less": lambda rows: Oracle(rows[:-1]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_another_reading_is_seen(name: str) -> None:
    assert any(difference(seed, MUTANTS[name]) for seed in range(WORLDS))


def expected_levels(calls: list[UsageEvent], oracle: Oracle) -> dict[tuple[Any, ...], list[int | None]]:
    """Calls and charge of each (account, seller, level, customer, price id)."""
    totals: dict[tuple[Any, ...], list[Any]] = {}
    for call in calls:
        verdict = oracle.judge(call)
        for level, owed in enumerate(verdict.owed[1:], 1):
            seller = verdict.accounts[level + 1] if level + 1 < len(verdict.accounts) else None
            key = (verdict.accounts[level], seller, level, call.customer_id, owed and owed.price_id)
            total = totals.setdefault(key, [0, None if owed is None else 0])
            total[0] += call.calls if call.corrects is not None else 1
            if owed is not None:
                total[1] += int(owed.amount)
    return totals


@pytest.mark.parametrize("seed", seeds(WORLDS, WORLDS_OFTEN))
def test_every_level_is_charged_by_its_own_plan_from_the_lines_alone(seed: int) -> None:
    chance = random.Random(seed)
    rows = random_catalog.rows(chance)
    calls = [random_catalog.call(chance, number) for number in range(CALLS)]
    calls += [random_catalog.correction(chance, CALLS + number, None) for number in range(20)]
    rater = BookRater(Book(enumerate(rows), len(rows)))
    lines = rater.resale(billing(rater.rate(frame(calls)), rater))
    assert lines.columns == list(COLUMNS)
    assert_frame_equal(lines, lines.sort(RESALE_KEYS, nulls_last=False))
    assert not lines.select(RESALE_KEYS).is_duplicated().any()
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in lines.iter_rows(named=True):
        key = tuple(row[name] for name in ("account_id", "seller_id", "level", "customer_id", "price_id"))
        total = found.setdefault(key, [0, None if row["charge"] is None else 0])
        total[0] += row["events"]
        if row["charge"] is not None:
            total[1] += row["charge"]
    assert found == expected_levels(calls, Oracle(rows))


@pytest.mark.parametrize("seed", range(10))
def test_cost_and_the_margins_of_all_levels_make_what_the_customer_owes(seed: int) -> None:
    chance = random.Random(seed)
    margins = [chance.choice([55_000, -300_000, 1, 333_333]) for _ in range(8)]
    buyers = [f"level {n}" for n in range(8)]
    rows: list[CatalogRow] = [price("*", {name: chance.randrange(10**7) for name in PRICED_FIELDS}, book="cost")]
    rows += [plan(f"plan-{n}", None, margin_ppm=margin) for n, margin in enumerate(margins)]
    rows += [account(buyer, f"plan-{n}", buyers[n + 1] if n < 7 else None) for n, buyer in enumerate(buyers)]
    calls = [random_catalog.call(chance, n, customer_id=buyers[0], variant="standard", byok=False) for n in range(90)]
    rater = BookRater(book(*rows))
    owed = billing(rater.rate(frame(calls)), rater)
    levels = rater.resale(owed).group_by("level").agg(pl.col("charge").sum()).sort("level")
    pays = [owed["charge"].sum(), *levels["charge"], owed["cost"].sum()]
    assert levels["level"].to_list() == list(range(1, 8))
    assert owed["cost"].sum() + sum(mine - sellers for mine, sellers in pairwise(pays)) == owed["charge"].sum()
    oracle = Oracle(rows)
    wanted = [
        sum(int(one.amount) for one in level if one)
        for level in zip(*(oracle.judge(c).owed for c in calls), strict=True)
    ]
    assert pays[:-1] == wanted


@pytest.mark.parametrize("seed", range(10))
def test_a_correction_is_charged_by_the_ids_it_carries(seed: int) -> None:
    chance = random.Random(seed)
    rows = random_catalog.rows(chance)
    calls = [random_catalog.call(chance, number) for number in range(CALLS)]
    later: list[CatalogRow] = [price("*", 5, book="fixed", variant=v) for v in (None, "free", "batch")]
    old, new = book(*rows), book(*rows, *later, plan("default", "fixed"))
    ratings = [old.rating(_call(call), call.occurred_at) for call in calls]
    taken_back = [
        call.model_copy(
            update={
                **{name: -getattr(call, name) for name in QUANTITY_FIELDS},
                "kind": "CORRECTION",
                "corrects": call.event_id,
                "event_id": f"back-{call.event_id}",
                "calls": -1,
                "rating": rating.text,
            }
        )
        for call, rating in zip(calls, ratings, strict=True)
    ]
    first, again = BookRater(old), BookRater(new)
    was, back = billing(first.rate(frame(calls)), first), billing(again.rate(frame(taken_back)), again)
    keys = [
        *BILLING_USAGE_KEYS,
        "price_id",
        "cost_price_id",
        "plan_id",
        "chain",
        "currency",
        "cost_currency",
        "provisional",
    ]
    both = pl.concat([was.select(sorted(was.columns)), back.select(sorted(was.columns))])
    left = both.drop(RATING).group_by(keys).agg(pl.exclude("charge", "cost").sum(), pl.col("charge", "cost").sum())
    assert left.height == was.height
    assert left.select(pl.exclude(keys).abs().sum()).row(0) == (0,) * (len(left.columns) - len(keys))
