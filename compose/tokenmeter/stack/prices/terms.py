"""A price as a person writes it, on the command line or in a row of a CSV file: in currency per million tokens.

The names are those of the columns; a flag of ``prices add`` is the name with dashes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from tokenmeter.events.catalog import Price, PriceTerms
from tokenmeter.events.catalog_row import FREE_VARIANT, LIST_BOOK
from tokenmeter.stack.prices.figures import price_fields
from tokenmeter.stack.prices.windows import Window, days, hours

MILLION = 1_000_000
PER_MILLION: dict[str, str] = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens",
    "input_image": "input_image_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
}
"""Columns in currency per million tokens."""
PER_UNIT: dict[str, str] = {
    "request": "requests",
    "image_in": "images_in",
    "image_out": "images_out",
    "second": "video_seconds",
    "search": "web_searches",
}
"""Columns in currency for one; a second is of video, or of audio where the operation is audio."""
COLUMNS: tuple[str, ...] = (
    "model",
    "book",
    "provider",
    "variant",
    "tier",
    "above_tokens",
    "window",
    "weekdays",
    "from",
    "currency",
    "provisional",
    "free",
    "withdraw",
    *PER_MILLION,
    *PER_UNIT,
    "note",
)
_YES, _NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n", "")
_AMOUNT = re.compile(r"^[+-]?\d*\.?\d+(e[+-]?\d+)?$", re.IGNORECASE)


def price_of(written: Mapping[str, str | None], effective_from: datetime, book: str = LIST_BOOK) -> PriceTerms:
    """The price that columns say; ``effective_from`` and ``book`` where they do not. ValueError says what is wrong."""
    told = {name: text.strip() for name, text in written.items() if text is not None and text.strip()}
    unknown = sorted(set(told) - set(COLUMNS))
    if unknown:
        raise ValueError(f"no column is called {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
    if "model" not in told:
        raise ValueError("model is missing: name author/slug, author/* or *")
    free, withdrawn = yes(told, "free"), yes(told, "withdraw")
    given = {
        **{name: amount_of(told[column], column).scaleb(-6) for column, name in PER_MILLION.items() if column in told},
        **{name: amount_of(told[column], column) for column, name in PER_UNIT.items() if column in told},
    }
    if free and given:
        raise ValueError("free and a price: give one of the two")
    if not (given or free or withdrawn):
        raise ValueError("no price is given: name at least input and output, or free, or withdraw")
    window = _window(told)
    return made(
        {
            "book": told.get("book", book),
            "model": told["model"],
            "provider": told.get("provider"),
            "variant": told.get("variant", FREE_VARIANT if free else None),
            "service_tier": told.get("tier"),
            "min_input_tokens": above(told["above_tokens"]) if "above_tokens" in told else 0,
            "currency": told.get("currency", "USD"),
            "provisional": yes(told, "provisional"),
            "withdrawn": withdrawn,
            "effective_from": time_of(told["from"]) if "from" in told else effective_from,
            "note": told.get("note"),
            **window.fields(),
            **price_fields(given),
        }
    )


def made(fields: Mapping[str, Any]) -> PriceTerms:
    """The row of these fields; ValueError in the words of whoever wrote them."""
    try:
        return Price(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).removesuffix("_price") if first["loc"] else ""
        column = next((c for c, field in (PER_MILLION | PER_UNIT).items() if field == name), name)
        raise ValueError(f"{column}: {first['msg']}" if column else first["msg"]) from error


def amount_of(text: str, name: str) -> Decimal:
    """An amount; ValueError when it is none, or below 0."""
    if not _AMOUNT.match(text):
        raise ValueError(f"{name} {text!r} is no amount: write it as 0.30")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{name} {text!r} is no amount: write it as 0.30") from error
    if amount < 0:
        raise ValueError(f"{name} {text} is negative: a price is 0 or more")
    return amount


def above(text: str) -> int:
    """The least input tokens of a price for calls of more than so many: ``200k`` gives 200 001."""
    number = text.lower().replace("_", "").replace(",", "")
    factor = 1_000 if number.endswith("k") else MILLION if number.endswith("m") else 1
    if not number.removesuffix("k").removesuffix("m").isdigit():
        raise ValueError(f"above_tokens {text!r} is no number of tokens: write it as 200000 or 200k")
    return int(number.rstrip("km")) * factor + 1


def time_of(text: str) -> datetime:
    """A time, UTC unless it says otherwise."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"time {text!r}: write it as 2026-12-01 or 2026-12-01T16:00, in UTC") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def yes(told: Mapping[str, str], name: str) -> bool:
    """Whether a column says yes."""
    text = told.get(name, "").lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"{name} {text!r}: write yes or no")
    return text in _YES


def _window(told: Mapping[str, str]) -> Window:
    weekdays = days(told.get("weekdays", "all"))
    return hours(told["window"], weekdays) if "window" in told else Window(weekdays=weekdays)


def per_million(price: PriceTerms, column: str) -> Decimal:
    """What a row says in a column: per million tokens, or for one."""
    name = PER_MILLION.get(column)
    if name is not None:
        return Decimal(getattr(price, f"{name}_price")).scaleb(6)
    return Decimal(getattr(price, f"{PER_UNIT[column]}_price"))
