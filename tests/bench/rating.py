"""``python -m bench.rating``: CPU that rating takes at the size of the design: 5 000 prices, 20 000 customers, chains
of up to 8 accounts. A batch is cold as long as it brings pairs of customer and model that were not met before."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from support.catalog_rows import account, plan, price
from support.rated_lines import billing
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import PRICED_FIELDS, QUANTITY_FIELDS
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.rater import BookRater

MODELS, PROVIDERS = 500, 60
CUSTOMERS, DISTRIBUTORS, PLANS = 20_000, 500, 40
NOW = datetime(2026, 11, 4, 12, 30, tzinfo=UTC)
WARM_BATCHES = 12


def model(number: int) -> str:
    return f"author-{number % 40}/model-{number}"


def prices(chance: random.Random) -> Iterator[CatalogRow]:
    """5 000: a list and a cost price of each model with its tiers, providers and a window at night."""

    def units(scale: float) -> dict[str, int]:
        unit = chance.randrange(10_000, 10_000_000) * scale
        parts = {"cached_input_tokens": 0.1, "cache_write_tokens": 1.25, "output_tokens": 4, "reasoning_tokens": 4}
        shares = {**dict.fromkeys(PRICED_FIELDS[:10], 1.0), **parts}
        return {name: int(unit * share) for name, share in shares.items()} | {"requests": 1_000_000}

    for number in range(MODELS):
        for book, scale in (("list", 1.0), ("cost", 0.93)):
            common: dict[str, Any] = {"book": book, "model": model(number)}
            yield price(units=units(scale), **common)
            yield price(units=units(2 * scale), min_input_tokens=200_000, **common)
            yield price(units=units(0.5 * scale), variant="batch", **common)
            yield price(units={}, variant="free", **common)
            yield price(units=units(scale), provider=f"provider-{number % PROVIDERS}", **common)


def accounts(chance: random.Random) -> Iterator[CatalogRow]:
    """Customers below distributors below distributors; some made in the last hour, so that time is cut there."""
    for number in range(PLANS):
        yield plan(f"plan-{number}", None if number % 2 else "list", margin_ppm=chance.randrange(-300_000, 300_000))
    depth = {0: 1}
    yield account("distributor-0", "plan-1")
    for number in range(1, DISTRIBUTORS):
        above = chance.choice([one for one, levels in depth.items() if levels < 7])
        depth[number] = depth[above] + 1
        yield account(f"distributor-{number}", f"plan-{chance.randrange(PLANS)}", f"distributor-{above}")
    for number in range(CUSTOMERS):
        parent = f"distributor-{chance.randrange(DISTRIBUTORS)}" if number % 4 else None
        since = {"effective_from": NOW - timedelta(seconds=chance.randrange(3_600))} if number % 100 == 0 else {}
        yield account(f"customer-{number}", f"plan-{chance.randrange(PLANS)}", parent, **since)


def batch(seed: int, count: int) -> pl.DataFrame:
    """Calls of ten seconds, with the columns of decoded events that rating or a line looks at."""
    draw = np.random.default_rng(seed)
    models = draw.zipf(1.2, count) % MODELS
    tokens_in = draw.lognormal(7.5, 1.6, count).astype(np.int64)
    tokens_out = draw.lognormal(5.5, 1.2, count).astype(np.int64)
    ended_us = int(NOW.timestamp() * 10**6) + seed * 1_000_000 + draw.integers(0, 10_000_000, count)
    texts = {
        "customer_id": pl.Series(draw.zipf(1.3, count) % CUSTOMERS).cast(pl.String),
        "model": pl.Series([model(number) for number in range(MODELS)]).gather(models),
        "provider": pl.Series((models + draw.integers(0, 3, count)) % PROVIDERS).cast(pl.String),
        "variant": pl.Series(draw.choice(["standard", "free", "batch"], count, p=[0.9, 0.06, 0.04])),
    }
    zeros = dict.fromkeys(QUANTITY_FIELDS, np.zeros(count, np.int64))
    quantities = {
        **zeros,
        "input_tokens": tokens_in,
        "cached_input_tokens": tokens_in // 3,
        "output_tokens": tokens_out,
        "reasoning_tokens": tokens_out // 4,
    }
    nulls = dict.fromkeys(("service_tier", "project_id", "api_key_id", "corrects", "rating", "error_class"))
    return pl.DataFrame({**texts, **quantities}).with_columns(
        pl.concat_str(pl.lit("customer-"), "customer_id").alias("customer_id"),
        pl.concat_str(pl.lit("provider-"), "provider").alias("provider"),
        pl.Series("occurred_at", ended_us).cast(pl.Datetime("us", "UTC")),
        pl.Series("byok", draw.random(count) < 0.02),
        pl.Series("status", np.where(draw.random(count) < 0.02, 429, 200)),
        pl.lit(0, pl.Int64).alias("calls"),
        *(pl.lit(value, pl.String).alias(name) for name, value in nulls.items()),
    )


def cpu_us(work: Callable[[], Any]) -> float:
    """CPU of all threads, in µs."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6


def main(
    events: Annotated[int, typer.Option(help="Events in a batch")] = 100_000,
    small: Annotated[int, typer.Option(help="Events in a batch of a quiet time")] = 1_000,
) -> None:
    chance = random.Random(1)
    rows = [*prices(chance), *accounts(chance)]
    book = Book(enumerate(rows), len(rows))
    table = Table("rating", "CPU µs an event", title=f"{len(rows):,} rows of the catalog, batches of {events:,} events")

    rater = BookRater(book)
    for number in range(3):
        made = batch(number, events)
        table.add_row(f"cold, batch {number + 1}", f"{cpu_us(lambda: rater.rate(made)) / events:.3f}")  # noqa: B023
    for size in (events, small):
        for seed in range(WARM_BATCHES):  # what each size meets for the first time is not its own doing
            rater.rate(batch(seed, size))
        warm = [batch(seed, size) for seed in range(WARM_BATCHES)]
        spent = [cpu_us(lambda: rater.rate(made)) / size for made in warm]  # noqa: B023
        table.add_row(f"warm, batches of {size:,}", f"{statistics.median(spent):.3f}")

    owed = billing(rater.rate(batch(0, events)), rater)
    numbers = list(range(len(rater.terms(range(1_000)))))
    table.add_row("terms, of a rating", f"{cpu_us(lambda: rater.terms(numbers)) / len(numbers):.3f}")
    levels = rater.resale(owed)
    spent_us = cpu_us(lambda: rater.resale(owed))
    table.add_row(f"resale, a line of {levels.height:,}", f"{spent_us / levels.height:.3f}")
    table.add_row(f"resale, an event ({owed.height:,} billing lines)", f"{spent_us / events:.3f}")

    changed = rater.follow([(len(rows), account("customer-1", "plan-2", effective_from=NOW))], len(rows) + 1)
    table.add_row(
        "the batch after one account changed", f"{cpu_us(lambda: changed.rate(batch(0, events))) / events:.3f}"
    )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
