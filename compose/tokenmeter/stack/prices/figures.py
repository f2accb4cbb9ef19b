"""From the few prices a list gives to a unit price for every class: what is not given costs as the whole it is in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tokenmeter.events.contract import PRICED_FIELDS

Figures = Mapping[str, Decimal]
"""Unit prices by PRICED_FIELDS, as far as they are given, in currency for one."""

COSTS_AS: tuple[tuple[str, str], ...] = (
    ("cached_input_tokens", "input_tokens"),
    ("cache_write_tokens", "input_tokens"),
    ("cache_write_1h_tokens", "cache_write_tokens"),
    ("input_audio_tokens", "input_tokens"),
    ("input_image_tokens", "input_tokens"),
    ("reasoning_tokens", "output_tokens"),
    ("output_audio_tokens", "output_tokens"),
    ("output_image_tokens", "output_tokens"),
)
"""A class that is not given costs as the other does: the order matters, a write for an hour follows one for minutes."""


def complete(given: Figures) -> dict[str, Decimal]:
    """A unit price for each of PRICED_FIELDS; what is part of nothing and not given is 0."""
    made = dict(given)
    for name, whole in COSTS_AS:
        made.setdefault(name, made.get(whole, Decimal(0)))
    return {name: made.get(name, Decimal(0)) for name in PRICED_FIELDS}


def price_fields(given: Figures) -> dict[str, Decimal]:
    """``complete`` as the fields of a Price."""
    return {f"{name}_price": price for name, price in complete(given).items()}
