"""One entry of LiteLLM's map as the figures of each of its prices: standard, batch, tiers, long context, off-peak.

The fallbacks are LiteLLM's: a tier that does not name a figure has the standard one; beyond a threshold a figure holds
until a higher threshold names another. One is not: where reasoning costs as output does, it goes on doing so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tokenmeter.events.catalog_row import EVERY_WEEKDAY
from tokenmeter.stack.prices.litellm_fields import (
    BATCHES,
    OFF_PEAK,
    SEARCH,
    TIERED,
    UNIT_FIGURES,
    Figure,
    figure_of,
    is_price,
    reason_for,
)
from tokenmeter.stack.prices.litellm_units import unit_figures
from tokenmeter.stack.prices.windows import ALWAYS, Window, bits_of, from_midnight, hours, in_zone

AT_LEAST_PROVIDERS = frozenset({"xai"})
"""Hosts whose higher price begins with the threshold itself, not with one token more."""
BATCH_VARIANT = "batch"
_HANDLED = (SEARCH, TIERED, OFF_PEAK, "input_cost_per_token_cache_hit")

Skip = Callable[[str, str], None]


@dataclass(frozen=True)
class Terms:
    """For which calls a price of an entry is."""

    variant: str | None = None
    service_tier: str | None = None
    min_input_tokens: int = 0
    window: Window = ALWAYS


@dataclass(frozen=True)
class Prices:
    """What an entry says: its prices, and what to note of how they were read."""

    rows: list[tuple[Terms, dict[str, Decimal]]]
    notes: list[str]


class _Given:
    """The figures of an entry by (class, threshold, suffix)."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._figures: dict[Figure, Decimal] = {}
        for field, value in entry.items():
            figure = figure_of(field)
            if figure is not None and isinstance(value, Decimal):
                self._figures.setdefault(figure, value)
        base = {name: self.get(name) for name in ("reasoning_tokens", "output_tokens")}
        if base["reasoning_tokens"] is not None and base["reasoning_tokens"] == base["output_tokens"]:
            del self._figures[Figure("reasoning_tokens")]

    def __bool__(self) -> bool:
        return bool(self._figures)

    def get(self, name: str, above: int = 0, suffix: str | None = None) -> Decimal | None:
        return self._figures.get(Figure(name, above, suffix))

    def names(self) -> set[str]:
        return {figure.name for figure in self._figures}

    def suffixes(self) -> list[str]:
        return sorted({figure.suffix for figure in self._figures if figure.suffix is not None})

    def thresholds(self, suffix: str | None) -> list[int]:
        """Thresholds at which prices with this suffix change; batches have only their own."""
        wanted = (suffix,) if suffix == BATCHES else (None, suffix)
        return sorted({f.above_tokens for f in self._figures if f.above_tokens and f.suffix in wanted})

    def at(self, suffix: str | None, threshold: int) -> dict[str, Decimal]:
        """The figures of a call with this suffix above this threshold, 0 for below the first."""
        crossed = [one for one in self.thresholds(suffix) if one <= threshold]
        made: dict[str, Decimal] = {}
        for name in self.names():
            value = self._first(self.get(name, 0, suffix), self._standard(name, suffix))
            for above in crossed:
                inherited = None if suffix == BATCHES else self.get(name, above)
                value = self._first(self.get(name, above, suffix), inherited, value)
            if value is not None:
                made[name] = value
        return made

    def _standard(self, name: str, suffix: str | None) -> Decimal | None:
        """The standard figure, but reasoning of a tier that has an output price of its own follows that."""
        if name == "reasoning_tokens" and suffix and self.get("output_tokens", 0, suffix) is not None:
            return None
        return self.get(name)

    @staticmethod
    def _first(*values: Decimal | None) -> Decimal | None:
        return next((value for value in values if value is not None), None)


def prices_of(entry: Mapping[str, Any], provider: str, skip: Skip) -> Prices:
    """All prices of an entry; ``skip`` is told of each field that is a price and is not read."""

    def leave(field: str, reason: str) -> None:
        skip(field, reason or reason_for(field))

    _tell_unread(entry, leave)
    units, notes = unit_figures(entry, leave)
    given = _Given(entry)
    first_token = 0 if provider in AT_LEAST_PROVIDERS else 1
    rows: list[tuple[Terms, dict[str, Decimal]]] = []
    tiers = _tiers(entry, leave)
    if tiers:
        rows += [(Terms(min_input_tokens=above and above + first_token), figures | units) for above, figures in tiers]
    elif given or units:
        for suffix in (None, *(one for one in given.suffixes() if one != BATCHES)):
            for above in (0, *given.thresholds(suffix)):
                terms = Terms(None, suffix, above and above + first_token)
                rows.append((terms, given.at(suffix, above) | units))
    rows += _off_peak(entry, rows, leave)
    if BATCHES in given.suffixes():
        for above in (0, *given.thresholds(BATCHES)):
            terms = Terms(BATCH_VARIANT, None, above and above + first_token)
            rows.append((terms, given.at(BATCHES, above) | units))
    return Prices(rows, notes)


def _tell_unread(entry: Mapping[str, Any], leave: Skip) -> None:
    for field, value in entry.items():
        if not is_price(field) or field in UNIT_FIGURES or field in _HANDLED or value is None:
            continue
        if figure_of(field) is None:
            leave(field, "")
        elif not isinstance(value, Decimal):
            leave(field, "no number")
    hit, read = entry.get("input_cost_per_token_cache_hit"), entry.get("cache_read_input_token_cost")
    if hit is not None and read is not None and hit != read:
        leave("input_cost_per_token_cache_hit", "another price of cached input than cache_read_input_token_cost")


def _tiers(entry: Mapping[str, Any], leave: Skip) -> list[tuple[int, dict[str, Decimal]]]:
    """(threshold, figures) of tiered_pricing: the tier of a call's input prices all of the call."""
    tiers = entry.get(TIERED)
    if tiers is None:
        return []
    made: dict[int, dict[str, Decimal]] = {}
    for tier in tiers if isinstance(tiers, list) else ():
        span = tier.get("range")
        if not isinstance(span, list) or "input_cost_per_token" not in tier:
            continue
        figures = {f.name: value for field, value in tier.items() if (f := figure_of(field)) and value is not None}
        if "output_tokens" not in figures and "output_cost_per_token" in entry:
            figures["output_tokens"] = entry["output_cost_per_token"]
        made[int(span[0])] = figures
    if not made:
        leave(TIERED, "tiers by something else than input tokens")
    elif min(made) > 0:
        made[0] = made[min(made)]
    return sorted(made.items())


def _off_peak(
    entry: Mapping[str, Any], rows: list[tuple[Terms, dict[str, Decimal]]], leave: Skip
) -> Iterator[tuple[Terms, dict[str, Decimal]]]:
    """The standard prices again with their off-peak figures, for each window."""
    block = entry.get(OFF_PEAK)
    if block is None:
        return
    zone = block.get("weekday_timezone") or "UTC"
    figures = {f.name: value for field, value in block.items() if (f := figure_of(field)) and value is not None}
    rules = [{"hours_utc": block["hours_utc"]}] if block.get("hours_utc") else []
    windows: list[Window] = []
    try:
        for rule in [*rules, *(block.get("windows") or ())]:
            spans = rule["hours_utc"] if isinstance(rule["hours_utc"], list) else [rule["hours_utc"]]
            weekdays = bits_of(map(int, rule["weekdays"])) if rule.get("weekdays") else EVERY_WEEKDAY
            split = [part for span in spans for part in from_midnight(hours(span, weekdays))]
            windows += split if weekdays == EVERY_WEEKDAY else [one for part in split for one in in_zone(part, zone)]
    except (KeyError, ValueError, TypeError) as error:
        leave(OFF_PEAK, f"off-peak hours that cannot be read: {error}")
        return
    for terms, standard in list(rows):
        for window in windows:
            yield Terms(terms.variant, terms.service_tier, terms.min_input_tokens, window), standard | figures
