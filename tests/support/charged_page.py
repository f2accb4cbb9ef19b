"""A page of the meter with all that a CHARGE entry depends on: budgets of every kind, two levels, two currencies, calls
without a price and provisional ones."""

from __future__ import annotations

import random
from datetime import timedelta

import polars as pl

from support.catalog_rows import LONG_AGO, account, book, frame, plan, price
from support.events import NOW, event
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog import Budget
from tokenmeter.events.catalog_row import BudgetScope, BudgetWindow, CatalogRow
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.entries import Written, entries
from tokenmeter.flow.meter.lines import Lines, end_users, lines
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.rate.rater import BookRater

BOUNDS = PageBounds("usage.events", 3, 100, 900)
WRITTEN = Written(BOUNDS, NOW, "meter-1")


def budget(account_id: str, scope: str, scope_id: str) -> Budget:
    return Budget(
        account_id=account_id,
        scope=BudgetScope(scope),
        scope_id=scope_id,
        window=BudgetWindow.DAY,
        amount=5,
        effective_from=LONG_AGO,
    )


ROWS: list[CatalogRow] = [
    price("a/one", 7_000_001),
    price("b/two", 3, provisional=True),  # c/drei-ß has no price
    plan("resold", None, margin_ppm=55_000),
    plan("wholesale", margin_ppm=-300_000),
    account("top", "wholesale", currency="USD"),
    *(account(f"cus_{n}", "resold", "top") for n in range(0, 50, 4)),
    account("cus_1", currency="CNY"),
    budget("cus_0", "PROJECT", "prj_1"),
    budget("cus_0", "MODEL", "a/one"),
    budget("top", "MODEL", "a/one"),
    budget("cus_2", "END_USER", "eve"),
    budget("cus_3", "KEY", "key_1"),
    budget("cus_3", "ACCOUNT", "cus_3"),
]
CURRENCY = {"cus_1": "CNY"}


def calls(seed: int) -> list[UsageEvent]:
    chance = random.Random(seed)
    return [
        event(
            number,
            api_key_id=chance.choice([None, "key_1", "key_2"]),
            end_user_id=chance.choice([None, "eve", "bob"]),
            customer_id=f"cus_{chance.randrange(8)}",
            occurred_at=NOW - timedelta(hours=chance.randrange(60)),
        )
        for number in range(400)
    ]


def as_made(events: list[UsageEvent]) -> tuple[Lines, pl.DataFrame]:
    """The page's lines and its entries by the meter's own steps, in two batches."""
    rater = BookRater(book(*ROWS))
    derived = [totals.derive(rater.rate(frame(part))) for part in (events[:150], events[150:])]
    wanted = rater.budgets(BudgetScope.END_USER)
    users = wanted.select(pl.col("account_id").alias("customer_id"), pl.col("scope_id").alias("end_user_id"))
    used = [part.join(users, on=["customer_id", "end_user_id"], how="semi") for part in derived]
    made = lines(
        [totals.grouped(part, totals.BILLING) for part in derived],
        [totals.grouped(part, totals.MARKET) for part in derived],
        rater,
    )
    ended = end_users([totals.grouped(part, totals.END_USERS) for part in used], rater)
    return made, entries(made, ended, rater, WRITTEN)
