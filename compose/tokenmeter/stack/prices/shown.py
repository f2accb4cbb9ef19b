"""Prices as tables and as CSV: in currency per million tokens, empty where a class costs as the whole it is in."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from decimal import Decimal
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import EVERY_WEEKDAY
from tokenmeter.stack.prices.figures import COSTS_AS
from tokenmeter.stack.prices.terms import COLUMNS, PER_MILLION, PER_UNIT, per_million
from tokenmeter.stack.prices.windows import shown, shown_days

_WHOLE = dict(COSTS_AS)


def plain(amount: Decimal) -> str:
    """An amount without the zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cells(price: PriceTerms) -> dict[str, str]:
    """Each column that is not as ``complete`` would make it of the others: what a person would have written."""
    made = {}
    for column, name in (PER_MILLION | PER_UNIT).items():
        value = per_million(price, column)
        whole = _WHOLE.get(name)
        fallback = Decimal(0) if whole is None else Decimal(getattr(price, f"{whole}_price")).scaleb(6)
        if value != fallback or column in ("input", "output"):
            made[column] = plain(value)
    return made


def line(price: PriceTerms) -> str:
    """The prices of a row in a line: ``input 0.3, output 1.1 USD/M``."""
    if price.withdrawn:
        return "withdrawn"
    given = cells(price)
    tokens = ", ".join(f"{column} {given[column]}" for column in PER_MILLION if column in given)
    units = "".join(f", {given[column]} a {column.replace('_', ' ')}" for column in PER_UNIT if column in given)
    marks = " (provisional)" if price.provisional else ""
    return f"{tokens} {price.currency}/M{units}{marks}"


def calls(price: PriceTerms) -> str:
    """For which calls of its model a row is."""
    parts = [
        price.variant and f":{price.variant}",
        price.service_tier and f"tier {price.service_tier}",
        price.min_input_tokens and f"> {price.min_input_tokens - 1} tokens",
        shown(price),
    ]
    return " ".join(part for part in parts if part)


def table(prices: Iterable[PriceTerms]) -> Table:
    """The prices, a row each, in the order of book, model and provider."""
    made = Table("book", "model", "provider", "calls", "price per million", "from", "row id", box=SIMPLE_HEAD)
    for price in sorted(prices, key=_order):
        said = (price.book, price.model, price.provider or "any", calls(price), line(price))
        since = f"{price.effective_from:%Y-%m-%d %H:%M}"
        made.add_row(*(Text(one, overflow="fold") for one in (*said, since, price.row_id)))
    return made


def write_csv(prices: Iterable[PriceTerms], out: TextIO) -> None:
    """The prices as a file that ``prices import`` reads."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for price in sorted(prices, key=_order):
        writer.writerow(
            {
                "model": price.model,
                "book": price.book,
                "provider": price.provider,
                "variant": price.variant,
                "tier": price.service_tier,
                "above_tokens": price.min_input_tokens - 1 if price.min_input_tokens else None,
                "window": _window(price),
                "weekdays": None if price.weekdays == EVERY_WEEKDAY else shown_days(price.weekdays),
                "from": price.effective_from.isoformat(),
                "currency": price.currency,
                "provisional": "yes" if price.provisional else None,
                "withdraw": "yes" if price.withdrawn else None,
                "note": price.note,
                **cells(price),
            }
        )


def _window(price: PriceTerms) -> str | None:
    start, end = price.window_start_minute, price.window_end_minute
    if start is None or end is None:
        return None
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


def _order(price: PriceTerms) -> tuple[str, str, str, str, str, int, int, int]:
    return (
        price.book,
        price.model,
        price.provider or "",
        price.variant or "",
        price.service_tier or "",
        price.min_input_tokens,
        price.window_start_minute if price.window_start_minute is not None else -1,
        price.weekdays,
    )
