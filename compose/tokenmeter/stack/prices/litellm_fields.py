"""What each field of LiteLLM's price map says: a figure of one of our classes, or why it is none.

A name is a base, then perhaps ``_above_200k_tokens`` (the whole call costs this when it has more input tokens), then
perhaps ``_batches``, ``_priority`` or another tier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BATCHES = "batches"
TIERS = ("priority", "flex", "balanced", "ultrafast")
"""Suffixes that are a service tier."""

TOKEN_FIGURES: dict[str, str] = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cached_input_tokens",
    "input_cost_per_token_cache_hit": "cached_input_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
}
UNIT_FIGURES: tuple[str, ...] = (
    "input_cost_per_request",
    "input_cost_per_query",
    "input_cost_per_image",
    "output_cost_per_image",
    "input_cost_per_second",
    "output_cost_per_second",
    "input_cost_per_audio_per_second",
    "output_cost_per_video_per_second",
)
"""Per call, image or second: what they mean depends on the entry's mode."""

SEARCH = "search_context_cost_per_query"
TIERED = "tiered_pricing"
OFF_PEAK = "off_peak_pricing"

_NAME = re.compile(
    rf"^(?P<base>{'|'.join(sorted(map(re.escape, TOKEN_FIGURES), key=len, reverse=True))})"
    rf"(?:_above_(?P<above>\d+)(?P<kilo>k?)_tokens)?(?:_(?P<suffix>{'|'.join((BATCHES, *TIERS))}))?$"
)
_PRICE = re.compile(r"cost|price|pricing|multiplier|provider_specific_entry|search_free|fee")
_UNKNOWN = "a price that this import does not know"
_REASONS: tuple[tuple[str, str], ...] = (
    (r"_above_12hr", "cache written for 12 hours: events count 5 minutes and 1 hour"),
    (r"_decisions$", "a price of LiteLLM's own decisions endpoint"),
    (r"^(cache_read|cache_creation)_input_(audio|image)_token_cost", "cached audio and images count as cached input"),
    (r"^explicit_cache_read", "events have one count of cached input, not one for each kind of cache"),
    (r"_per_character", "priced by characters, which events do not count"),
    (r"_per_pixel", "priced by pixels, which events do not count"),
    (r"_video_token", "priced by video tokens, which events count as input or output"),
    (r"_dbu_", "Databricks units: the price in USD stands beside it"),
    (r"_second_(\d+p|\dk)$|_image_[0-9.]+K?$", "priced by resolution, which events do not tell"),
    (r"_above_\d+s_interval|_video_per_second|_audio_per_second", "seconds of input, which events do not count"),
    (r"^cost_per_second$|_per_second$", "a price of reserved capacity, not of calls"),
    (r"multiplier|provider_specific_entry", "a surcharge by region or mode, which events do not tell"),
    (r"^search_free", "a free quota is no unit price"),
    (
        r"ocr_|annotation_|guardrail|file_search|code_interpreter|vector_store|computer_use|google_maps|citation_"
        r"|text_message",
        "a tool or service that events do not count",
    ),
)


@dataclass(frozen=True)
class Figure:
    """Which figure a field gives: of a class, for calls above ``above_tokens``, in batches or a tier (``suffix``)."""

    name: str
    above_tokens: int = 0
    suffix: str | None = None


def figure_of(field: str) -> Figure | None:
    """The figure of a field priced by tokens, or None."""
    found = _NAME.match(field)
    if found is None:
        return None
    above = int(found["above"] or 0) * (1_000 if found["kilo"] else 1)
    return Figure(TOKEN_FIGURES[found["base"]], above, found["suffix"])


def is_price(field: str) -> bool:
    """Whether a field is about money at all; the others are facts of the model."""
    return _PRICE.search(field) is not None


def reason_for(field: str) -> str:
    """Why a field that is a price gives no figure."""
    return next((why for pattern, why in _REASONS if re.search(pattern, field)), _UNKNOWN)
