"""The catalog that the bench rates by: a price of each model in two books, plans, and a chain of three levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

from confluent_kafka import Producer

from bench.preload import CUSTOMERS, MODELS, PROVIDERS
from tokenmeter.events.catalog import Account, Plan, Price
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK, CatalogRow, PlanBase
from tokenmeter.events.contract import CATALOG, PRICED_FIELDS

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
RESELLERS = 100
RESOLD_CUSTOMERS = 2_000
LONG_CONTEXT_TOKENS = 20_001


def _price(book: str, number: int, provider: str | None, scale: Decimal, min_input_tokens: int = 0) -> CatalogRow:
    per_million = Decimal(1 + number % 40) / 4 * scale
    units = dict.fromkeys((f"{name}_price" for name in PRICED_FIELDS), Decimal(0))
    for name, factor in (("input_tokens", 1), ("cached_input_tokens", "0.1"), ("output_tokens", 4)):
        units[f"{name}_price"] = per_million * Decimal(factor) / 1_000_000
    return Price(
        effective_from=EPOCH,
        book=book,
        model=f"author{number % 30}/model-{number}",
        provider=provider,
        min_input_tokens=min_input_tokens,
        **units,
    )


def rows() -> Iterator[CatalogRow]:
    """List prices with a long-context tier, costs by provider, a plan for each kind of account, a tree of accounts."""
    for number in range(MODELS):
        yield _price(LIST_BOOK, number, None, Decimal(1))
        yield _price(LIST_BOOK, number, None, Decimal(2), LONG_CONTEXT_TOKENS)
        for step in range(2):
            yield _price(COST_BOOK, number, f"provider-{(number + step) % PROVIDERS}", Decimal("0.9"))
    yield Plan(effective_from=EPOCH, plan_id="default", base_book=LIST_BOOK)
    yield Plan(effective_from=EPOCH, plan_id="wholesale", base_book=LIST_BOOK, margin_ppm=-300_000)
    yield Plan(effective_from=EPOCH, plan_id="resold", base=PlanBase.BUY, margin_ppm=55_000)
    yield Account(effective_from=EPOCH, account_id="distributor", plan_id="wholesale")
    for number in range(RESELLERS):
        yield Account(effective_from=EPOCH, account_id=f"reseller-{number}", parent_id="distributor", plan_id="resold")
    for number in islice(range(CUSTOMERS), RESOLD_CUSTOMERS):
        yield Account(
            effective_from=EPOCH,
            account_id=f"cus_{number:05d}",
            parent_id=f"reseller-{number % RESELLERS}",
            plan_id="resold",
        )


def publish(bootstrap: str, more: Iterable[CatalogRow] = ()) -> int:
    """Put the rows, and more, on the catalog; returns how many there are."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True})
    made = [*rows(), *more]
    for row in made:
        producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
    assert producer.flush(60) == 0
    return len(made)
