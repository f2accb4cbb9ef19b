"""What one call would be charged by: the cost, and the price at each level of a customer's chain."""

from __future__ import annotations

from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK
from tokenmeter.events.contract import PRICED_FIELDS
from tokenmeter.events.rating import amount, parts_of
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.matching import Call
from tokenmeter.stack.prices.shown import line

UNPRICED = "unpriced"
NOT_GIVEN = "?"
"""A host of no name: only prices for any host match."""


def quote_table(
    book: Book,
    at: datetime,
    model: str,
    provider: str | None,
    variant: str,
    tier: str | None,
    input_tokens: int,
    customer: str | None,
) -> Table:
    """A row for each who pays: upstream's cost, the list, and with a customer each account of its chain."""
    call = Call(customer or NOT_GIVEN, model, provider or NOT_GIVEN, variant, tier, input_tokens)
    where = f"{provider or 'any host'}, {variant}{f', tier {tier}' if tier else ''}, {input_tokens} input tokens"
    made = Table("who", "plan", "price per million", "price id", title=f"a call: {where}", box=SIMPLE_HEAD)
    rows: list[tuple[str, str, str | None]] = []
    for name in (COST_BOOK, LIST_BOOK):
        price = book.best(name, call, at)
        rows.append((f"book {name}", "", None if price is None else price.row_id))
    if customer is not None:
        rating = book.rating(call, at)
        levels = [(customer, rating.price_id), *((level.account_id, level.price_id) for level in rating.levels)]
        rows += [(account, book.plan_id_of(account, at), price_id) for account, price_id in levels]
    for who, plan, price_id in rows:
        said = UNPRICED if price_id is None else _line(book, price_id)
        made.add_row(*(Text(cell, overflow="fold") for cell in (who, plan, said, price_id or "")))
    return made


def _line(book: Book, price_id: str) -> str:
    """The prices of a price id, after the factors of the plans it went through."""
    row, units = book.price(parts_of(price_id)[0]), book.units(price_id)
    if row is None or units is None:
        return UNPRICED
    return line(_with(row, units))


def _with(row: PriceTerms, units: dict[str, int]) -> PriceTerms:
    return row.model_copy(update={f"{name}_price": amount(units[name]) for name in PRICED_FIELDS})
