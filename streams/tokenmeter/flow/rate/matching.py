"""Which price rows match a call, and which of them is the best: "Which price of a book" of ``pricing.md``."""

from __future__ import annotations

from dataclasses import dataclass

from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import ANY_MODEL, EVERY_WEEKDAY, FREE_VARIANT, MINUTES_PER_DAY
from tokenmeter.flow.rate.timeline import MINUTES_PER_WEEK


@dataclass(frozen=True, slots=True)
class Call:
    """What of a call decides its price, beside its time. ``input_tokens`` are absolute."""

    customer_id: str
    model: str
    provider: str
    variant: str = "standard"
    service_tier: str | None = None
    input_tokens: int = 0
    byok: bool = False


def patterns_of(model: str) -> tuple[str, ...]:
    """The model fields that match a call's model: its own name, ``author/*``, ``*``. Without a slash: no author."""
    author, slash, _ = model.partition("/")
    return (model, f"{author}/*", ANY_MODEL) if slash else (model, ANY_MODEL)


def matches(price: PriceTerms, call: Call, minute_of_week: int) -> bool:
    """Whether a price whose model matches is for this call at this minute of the UTC week."""
    return (
        not price.withdrawn
        and price.provider in (None, call.provider)
        and price.service_tier in (None, call.service_tier)
        and (price.variant == call.variant if price.variant is not None else call.variant != FREE_VARIANT)
        and price.min_input_tokens <= call.input_tokens
        and any(start <= minute_of_week < end for start, end in week_minutes(price))
    )


def rank(price: PriceTerms) -> tuple[bool, int, bool, bool, int, bool, int, str]:
    """The greatest of the matching prices is the best."""
    pattern = 0 if price.model == ANY_MODEL else 1 if price.model.endswith("/*") else 2
    return (
        price.variant is not None,
        pattern,
        price.service_tier is not None,
        price.provider is not None,
        price.min_input_tokens,
        price.window_start_minute is not None,
        -price.weekdays.bit_count(),
        price.row_id,
    )


def week_minutes(price: PriceTerms) -> list[tuple[int, int]]:
    """The stretches [start, end) of the week, in minutes since Monday 00:00 UTC, in which the price holds.

    A window belongs to the weekday on which it starts; what of Sunday's lies after midnight is Monday's first.
    """
    if price.window_start_minute is None or price.window_end_minute is None:
        if price.weekdays == EVERY_WEEKDAY:
            return [(0, MINUTES_PER_WEEK)]
        first, length = 0, MINUTES_PER_DAY
    else:
        first = price.window_start_minute
        length = (price.window_end_minute - first - 1) % MINUTES_PER_DAY + 1
    found = []
    for weekday in range(7):
        if price.weekdays >> weekday & 1:
            start = weekday * MINUTES_PER_DAY + first
            end = start + length
            found.append((start, min(end, MINUTES_PER_WEEK)))
            if end > MINUTES_PER_WEEK:
                found.append((0, end - MINUTES_PER_WEEK))
    return found
