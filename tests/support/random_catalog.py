"""Catalogs and calls drawn at random from a world so small that every rule of pricing decides something."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.catalog_rows import account, plan, price
from support.events import event
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import PRICED_FIELDS

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MODELS = ("a/one", "a/two", "b/one", "c")
PATTERNS = (*MODELS, "a/*", "b/*", "*", "*")
BOOKS = ("list", "list", "cost", "cost", "fixed")
PLANS = ("default", "default", "thin", "buy", "dear", "gone")
CUSTOMERS = tuple(f"acc {n}@;" for n in range(12))
THRESHOLDS = (0, 0, 100, 1_000)
TURNS = [MONDAY + timedelta(hours=hour) for hour in (-400, -30, 0, 20, 31, 100)]
MINUTES = (0, 0, 1, 600, 720, 1_439)


def rows(chance: random.Random) -> list[CatalogRow]:
    """A catalog, in the order of the topic."""
    made: list[CatalogRow] = [_price(chance) for _ in range(chance.choice([10, 60]))]
    made += [_plan(chance) for _ in range(8)]
    made += [_account(chance) for _ in range(chance.choice([0, 20]))]
    chance.shuffle(made)
    return made


def _price(chance: random.Random) -> CatalogRow:
    window = [chance.choice(MINUTES), chance.choice(MINUTES)] if chance.random() < 0.3 else [None, None]
    return price(
        chance.choice(PATTERNS),
        {name: chance.choice([0, 1, 7, 2_500_000, 10**18]) for name in PRICED_FIELDS},
        book=chance.choice(BOOKS),
        provider=chance.choice([None, None, "p1", "p2"]),
        variant=chance.choice([None, None, None, "free", "batch"]),
        service_tier=chance.choice([None, None, None, "flex"]),
        min_input_tokens=chance.choice(THRESHOLDS),
        window_start_minute=window[0],
        window_end_minute=window[1],
        weekdays=127 if chance.random() < 0.7 else chance.randrange(1, 128),
        currency=chance.choice(["USD", "USD", "USD", "CNY"]),
        provisional=chance.random() < 0.2,
        withdrawn=chance.random() < 0.1,
        effective_from=chance.choice(TURNS[:2] if chance.random() < 0.6 else TURNS),
    )


def _plan(chance: random.Random) -> CatalogRow:
    return plan(
        chance.choice(PLANS[:-1]),
        chance.choice(["list", "list", "cost", None, None]),
        margin_ppm=chance.choice([0, 55_000, -300_000, -1_000_000, 1, 499_999, 10**9]),
        override_book=chance.choice([None, None, "fixed"]),
        byok_fee_ppm=chance.choice([0, 50_000, 1_000_000]),
        currency=chance.choice([None, None, None, "USD", "CNY"]),
        effective_from=chance.choice(TURNS),
    )


def _account(chance: random.Random) -> CatalogRow:
    parent = chance.choice(CUSTOMERS) if chance.random() < 0.8 else None
    own = chance.choice(CUSTOMERS)
    return account(own, chance.choice(PLANS), parent, effective_from=chance.choice(TURNS))


def when(chance: random.Random) -> datetime:
    """Some time of a fortnight; more often just where something changes."""
    if chance.random() < 0.5:
        return MONDAY + timedelta(microseconds=chance.randrange(-7 * 86_400_000_000, 7 * 86_400_000_000))
    edge = chance.choice([*TURNS, *(MONDAY + timedelta(days=chance.randrange(7), minutes=m) for m in MINUTES)])
    return edge + timedelta(microseconds=chance.choice([-1, 0, 1]))


def call(chance: random.Random, number: int, **fields: Any) -> UsageEvent:
    """A call, with all that costs something."""
    size = chance.choice([0, 1, 99, 100, 999, 1_000, 5_000, 10**12])
    fifth = [chance.randrange(size // 5 + 1) for _ in range(8)]
    made: dict[str, Any] = {
        "customer_id": chance.choice([*CUSTOMERS, "nobody"]),
        "occurred_at": when(chance),
        "model": chance.choice([*MODELS, "b/none"]),
        "provider": chance.choice(["p1", "p2", "p3"]),
        "variant": chance.choice(["standard", "standard", "free", "batch"]),
        "service_tier": chance.choice([None, None, "flex"]),
        "byok": chance.random() < 0.2,
        "status": chance.choice([200, 200, 429]),
        "error_class": chance.choice([None, None, None, "timeout"]),
        "input_tokens": size,
        "cached_input_tokens": fifth[0],
        "cache_write_tokens": fifth[1],
        "cache_write_1h_tokens": fifth[2],
        "input_audio_tokens": fifth[3],
        "input_image_tokens": fifth[4],
        "output_tokens": size,
        "reasoning_tokens": fifth[5],
        "output_audio_tokens": fifth[6],
        "output_image_tokens": fifth[7],
        "images_in": chance.choice([0, 0, 3]),
        "images_out": chance.choice([0, 0, 1]),
        "video_seconds": chance.choice([0, 0, 59]),
        "web_searches": chance.choice([0, 0, 2]),
        "reported_cost": Decimal(0),
    }
    return event(number, **{**made, **fields})


def correction(chance: random.Random, number: int, rating: str | None) -> UsageEvent:
    """Signed deltas for some calls."""
    fields = {name: -chance.choice([0, 5, 2_000]) for name in PRICED_FIELDS if name != "requests"}
    calls = chance.choice([-3, 0, 1])
    return call(chance, number, kind="CORRECTION", corrects=f"event-{number}", calls=calls, rating=rating, **fields)
