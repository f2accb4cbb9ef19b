"""LiteLLM's price map, ``model_prices_and_context_window.json``, as prices of a book.

Each entry is a model at a host. Names are read by ``tokenmeter.emit.model_names``; of entries that come to one name (a
model in several regions, or under several spellings) the one that names no region counts, else global, else us.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from tokenmeter.emit.model_names import Served, served
from tokenmeter.events.catalog import Price
from tokenmeter.events.catalog_row import LIST_BOOK
from tokenmeter.stack.prices.figures import price_fields
from tokenmeter.stack.prices.litellm_fields import is_price
from tokenmeter.stack.prices.litellm_rows import Prices, prices_of
from tokenmeter.stack.prices.proposed import Parsed, Place, Proposed

BY_SIZE = re.compile(r"(^|/)(\d+-x-\d+|max-x-max|low|medium|high|xhigh|max|standard|hd)/")
_COMMITMENT = re.compile(r"(^|/)\d+-month-commitment/")
_OWN_WAYS = re.compile(r"/(claude_platform|invoke)/")
_REGIONS = (None, "global", "us")


@dataclass(frozen=True)
class Options:
    """How a price list is read. ``providers``: only these hosts; ``any_provider``: prices hold whoever serves."""

    effective_from: datetime
    book: str = LIST_BOOK
    currency: str = "USD"
    providers: Collection[str] = ()
    any_provider: bool = False


@dataclass(frozen=True)
class _Read:
    key: str
    place: Place
    named: Served
    prices: Prices


def is_litellm_map(document: Any) -> bool:
    """Whether a JSON document is such a map."""
    return isinstance(document, dict) and any(
        isinstance(entry, dict) and "litellm_provider" in entry for entry in document.values()
    )


def read_map(document: Mapping[str, Any], lines: Mapping[str, int], file: str, options: Options) -> Parsed:
    """The prices of a map; ``lines`` tells on which line an entry begins."""
    parsed = Parsed()
    found: dict[tuple[str, str], list[_Read]] = defaultdict(list)
    for key, entry in document.items():
        place = Place(file, lines.get(key))
        reason = _unusable(key, entry)
        if reason is not None:
            parsed.skip(place, key, None, reason)
            continue
        named = served(entry["litellm_provider"], key)
        if options.providers and named.provider not in options.providers:
            parsed.skip(place, key, None, "a host that --provider does not name")
            continue
        prices = prices_of(
            entry,
            named.provider,
            lambda field, why, place=place, key=key: parsed.skip(place, key, field, why),  # type: ignore[misc]
        )
        if not prices.rows:
            parsed.skip(place, key, None, "no price of a call", str(entry.get("mode") or "no mode"))
            continue
        if not any(any(figures.values()) for _, figures in prices.rows) and _costs_something(entry):
            parsed.skip(place, key, None, "only what events do not count has a price: calls would be free")
            continue
        found[named.provider if not options.any_provider else "", named.model].append(_Read(key, place, named, prices))
    for reads in found.values():
        kept, *others = sorted(reads, key=_rank)
        for other in others:
            same = other.prices.rows == kept.prices.rows
            what = "one region's" if other.named.region else "another spelling's"
            reason = f"{what} {'price, the same as that of' if same else 'own price, beside that of'} the entry kept"
            parsed.skip(other.place, other.key, None, reason, f"{kept.key} is {kept.named.model}")
        _add(parsed, kept, options)
    return parsed


def _unusable(key: str, entry: Any) -> str | None:
    """Why an entry is no model at a host that calls could name."""
    if not isinstance(entry, dict) or key == "sample_spec":
        return "no entry of a model"
    if "alias_of" in entry:
        return "an alias: events name the model that served"
    if not entry.get("litellm_provider"):
        return "no entry of a model"
    if key.startswith("ft:"):
        return "a fine-tuned model is named by its owner: add a price for yours"
    if BY_SIZE.search(key):
        return "priced by size, quality or steps, which events do not tell"
    if _COMMITMENT.search(key) or "*" in key:
        return "a price of reserved capacity, not of calls"
    return None


def _costs_something(entry: Mapping[str, Any]) -> bool:
    return any(is_price(field) and isinstance(value, Decimal) and value > 0 for field, value in entry.items())


def _rank(read: _Read) -> tuple[int, bool, bool, int]:
    """Smaller is better: regions, then a host's own ways, then, as LiteLLM looks models up, a key with the host."""
    region = read.named.region
    return (
        _REGIONS.index(region) if region in _REGIONS else len(_REGIONS),
        _OWN_WAYS.search(read.key) is not None,
        not read.key.startswith(f"{read.named.provider}/"),
        read.place.line or 0,
    )


def _add(parsed: Parsed, read: _Read, options: Options) -> None:
    note = "; ".join((f"LiteLLM: {read.key}", *read.prices.notes))
    for terms, figures in read.prices.rows:
        if min(figures.values(), default=Decimal(0)) < 0:
            parsed.skip(read.place, read.key, None, "a negative price")
            return
        try:
            row = Price(
                book=options.book,
                model=read.named.model,
                provider=None if options.any_provider else read.named.provider,
                variant=terms.variant,
                service_tier=terms.service_tier,
                min_input_tokens=terms.min_input_tokens,
                currency=options.currency,
                effective_from=options.effective_from,
                note=note,
                **terms.window.fields(),
                **price_fields(figures),
            )
        except ValidationError as error:
            parsed.skip(read.place, read.key, None, "not a price that the catalog takes", error.errors()[0]["msg"])
            return
        parsed.rows.append(Proposed(row, read.place))
