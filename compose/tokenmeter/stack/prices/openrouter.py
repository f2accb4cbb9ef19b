"""OpenRouter's list of models, ``GET /api/v1/models``, as prices of a book.

Prices are strings in USD for one token, request, image or search. An override applies to calls that meet all of its
conditions, the later one first; what it does not name stays as it is. ``author/slug:free`` is variant ``free``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from tokenmeter.events.catalog import Price
from tokenmeter.events.catalog_row import EVERY_WEEKDAY
from tokenmeter.stack.prices.figures import price_fields
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.litellm_units import BY_TOKEN
from tokenmeter.stack.prices.proposed import Parsed, Place, Proposed
from tokenmeter.stack.prices.windows import ALWAYS, DAYS, Window, overlap

FIGURES: dict[str, str] = {
    "prompt": "input_tokens",
    "completion": "output_tokens",
    "input_cache_read": "cached_input_tokens",
    "input_cache_write": "cache_write_tokens",
    "input_cache_write_1h": "cache_write_1h_tokens",
    "internal_reasoning": "reasoning_tokens",
    "audio": "input_audio_tokens",
    "audio_output": "output_audio_tokens",
    "image_output": "output_image_tokens",
    "request": "requests",
    "image": "images_in",
    "web_search": "web_searches",
}
ZERO_IS_NONE = ("internal_reasoning", "audio", "audio_output", "image_output", "input_cache_read", "input_cache_write")
"""Listed as 0 where a model has no such price of its own."""
_CONDITIONS = ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
_REASONS = {
    "discount": "a discount that the prices already have",
    "input_audio_cache": "cached audio counts as cached input",
    "image_token": "not told whether of images sent or made",
}


@dataclass(frozen=True)
class _Override:
    min_input_tokens: int
    window: Window
    figures: Mapping[str, Decimal]


def is_openrouter_list(document: Any) -> bool:
    """Whether a JSON document is such a list."""
    rows = document.get("data") if isinstance(document, dict) else document
    return isinstance(rows, list) and any(isinstance(row, dict) and "id" in row and "pricing" in row for row in rows)


def read_list(document: Any, lines: Mapping[str, int], file: str, options: Options) -> Parsed:
    """The prices of a list. Rows hold for every provider, or for the one that ``options.providers`` names."""
    parsed = Parsed()
    seen: set[str] = set()
    provider = next(iter(options.providers), None)
    for entry in document["data"] if isinstance(document, dict) else document:
        name = str(entry.get("id")) if isinstance(entry, dict) else "?"
        place = Place(file, lines.get(name))
        pricing = entry.get("pricing") if isinstance(entry, dict) else None
        if not isinstance(pricing, dict) or "/" not in name:
            parsed.skip(place, name, None, "no entry of a model")
        elif name in seen:
            parsed.skip(place, name, None, "the same model again")
        else:
            seen.add(name)
            _add(parsed, place, name, pricing, options, provider)
    return parsed


def _add(
    parsed: Parsed, place: Place, name: str, pricing: Mapping[str, Any], options: Options, provider: str | None
) -> None:
    figures = _figures(parsed, place, name, pricing)
    if any(price < 0 for price in figures.values()):
        parsed.skip(place, name, None, "a router: it costs what the model it chooses costs")
        return
    if not figures:
        parsed.skip(place, name, None, "no price of a call")
        return
    model, _, variant = name.partition(":")
    for least, window, prices in _cells(figures, _overrides(parsed, place, name, pricing)):
        try:
            row = Price(
                book=options.book,
                model=model,
                provider=provider,
                variant=variant or None,
                min_input_tokens=least,
                currency=options.currency,
                effective_from=options.effective_from,
                note=f"OpenRouter: {name}",
                **window.fields(),
                **price_fields(prices),
            )
        except ValidationError as error:
            parsed.skip(place, name, None, "not a price that the catalog takes", error.errors()[0]["msg"])
            return
        parsed.rows.append(Proposed(row, place))


def _figures(parsed: Parsed, place: Place, name: str, pricing: Mapping[str, Any]) -> dict[str, Decimal]:
    made: dict[str, Decimal] = {}
    for field, value in pricing.items():
        if field in ("overrides", *_CONDITIONS) or value is None:
            continue
        try:
            price = Decimal(str(value))
        except InvalidOperation:
            parsed.skip(place, name, field, "no number", str(value))
            continue
        if field not in FIGURES:
            if price:
                parsed.skip(place, name, field, _REASONS.get(field, "a price that this import does not know"))
        elif price or field not in ZERO_IS_NONE:
            made[FIGURES[field]] = price
    if made.get("images_in") and made.get("input_tokens"):
        del made["images_in"]
        parsed.skip(place, name, "image", BY_TOKEN)
    return made


def _overrides(parsed: Parsed, place: Place, name: str, pricing: Mapping[str, Any]) -> list[_Override]:
    made: list[_Override] = []
    for override in pricing.get("overrides") or ():
        unknown = sorted(set(override) - set(FIGURES) - set(_REASONS) - set(_CONDITIONS))
        if unknown:
            parsed.skip(place, name, "overrides", "a condition that this import does not know", ", ".join(unknown))
            continue
        try:
            window = _window(override)
        except (ValueError, TypeError) as error:
            parsed.skip(place, name, "overrides", "a time that cannot be read", str(error))
            continue
        if any(window not in (ALWAYS, o.window) and o.window != ALWAYS and overlap(window, o.window) for o in made):
            parsed.skip(place, name, "overrides", "times that overlap those of another override")
            continue
        # From so many tokens on, the threshold itself included.
        least = int(override.get("min_prompt_tokens") or 0)
        made.append(_Override(least, window, _figures(parsed, place, name, override)))
    return made


def _window(override: Mapping[str, Any]) -> Window:
    """``utc_start`` 1630 is 16:30; an end that is not after its start is on the next day."""
    named = override.get("utc_days")
    weekdays = sum(1 << DAYS.index(str(day).lower()[:3]) for day in set(named)) if named else EVERY_WEEKDAY
    if override.get("utc_start") is None and override.get("utc_end") is None:
        return Window(None, None, weekdays)
    start, end = _clock(override.get("utc_start") or 0), _clock(override.get("utc_end") or 0)
    return Window(None, None, weekdays) if start == end else Window(start, end, weekdays)


def _clock(value: Any) -> int:
    hour, minute = divmod(int(value), 100)
    if not (0 <= hour <= 24 and 0 <= minute < 60):
        raise ValueError(f"{value} is no time of the day")
    return (hour * 60 + minute) % 1_440


def _cells(base: Mapping[str, Decimal], overrides: list[_Override]) -> Iterable[tuple[int, Window, dict[str, Decimal]]]:
    """(least input tokens, window, figures) for each threshold and window together, so that the most specific row of
    the catalog has every override that applies."""
    for least in sorted({0, *(override.min_input_tokens for override in overrides)}):
        for window in dict.fromkeys((ALWAYS, *(override.window for override in overrides))):
            made = dict(base)
            for override in overrides:
                if override.min_input_tokens <= least and override.window in (ALWAYS, window):
                    made.update(override.figures)
            yield least, window, made
