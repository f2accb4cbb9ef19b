"""Made-up catalogs in which charges stay as small as in life: every condition of a price, every base of a plan, chains
and circles, rows that replace others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenmeter.events.catalog import Account, Plan, Price
from tokenmeter.events.catalog_row import CatalogRow, PlanBase
from tokenmeter.events.contract import PRICED_FIELDS

BOOKS = ("list", "list", "cost", "cost", "deal")
PLANS = ("default", "gold", "buy", "fixed", "euro", "nothing")


def plausible_catalog(
    chance: random.Random, now: datetime, models: Sequence[str], providers: Sequence[str], customers: Sequence[str]
) -> list[tuple[int, CatalogRow]]:
    """Rows with offsets that leave gaps, as transactions do; they take effect within two hours of ``now``."""
    rows: list[CatalogRow] = [_price(chance, now, models, providers) for _ in range(chance.choice([0, 30, 80]))]
    rows += [_plan(chance, now, name) for name in PLANS[:-1] for _ in range(chance.randrange(3))]
    resellers = [f"reseller {number}/é" for number in range(12)]
    for name in [*customers, *resellers, *customers[:5]]:
        if chance.random() < 0.5:
            parent = chance.choice([None, *resellers, *resellers])
            plan_id = chance.choice(PLANS)
            at = _time(chance, now)
            rows.append(Account(effective_from=at, account_id=name, parent_id=parent, plan_id=plan_id))
    chance.shuffle(rows)
    offset, placed = 0, []
    for row in rows:
        offset += chance.choice([1, 1, 2])
        placed.append((offset, row))
    return placed


def _time(chance: random.Random, now: datetime) -> datetime:
    return now - timedelta(seconds=chance.choice([10**6, 10**6, 7_000, 3_600, 1_800, 0, -60]))


def _price(chance: random.Random, now: datetime, models: Sequence[str], providers: Sequence[str]) -> CatalogRow:
    window = [chance.randrange(1_440), chance.randrange(1_440)] if chance.random() < 0.2 else [None, None]
    terms: dict[str, Any] = {
        "effective_from": _time(chance, now),
        "book": chance.choice(BOOKS),
        "model": chance.choice([*models, *(f"{model.partition('/')[0]}/*" for model in models), "*"]),
        "provider": chance.choice([None, None, *providers]),
        "variant": chance.choice([None, None, "free", "fast"]),
        "service_tier": chance.choice([None, None, "flex"]),
        "min_input_tokens": chance.choice([0, 0, 5, 50_000]),
        "window_start_minute": window[0],
        "window_end_minute": window[1],
        "weekdays": chance.choice([127, 127, 127, 0b1000000, 0b0111111]),
        "currency": chance.choice(["USD", "USD", "USD", "EUR"]),
        "provisional": chance.random() < 0.1,
        "withdrawn": chance.random() < 0.1,
    }
    dear = chance.random() < 0.02
    units = {f"{name}_price": Decimal(chance.randrange(10**9)).scaleb(-12) for name in PRICED_FIELDS}
    return Price(**terms, **units | ({"output_tokens_price": Decimal(10**6)} if dear else {}))


def _plan(chance: random.Random, now: datetime, name: str) -> CatalogRow:
    base = chance.choice([PlanBase.BOOK, PlanBase.BUY])
    return Plan(
        effective_from=_time(chance, now),
        plan_id=name,
        base=base,
        base_book="list" if base == PlanBase.BOOK else None,
        margin_ppm=chance.choice([0, 55_000, -300_000, 123_457]),
        override_book=chance.choice([None, "deal"]),
        byok_fee_ppm=chance.choice([0, 50_000]),
        currency=chance.choice([None, None, "USD", "EUR"]),
    )
