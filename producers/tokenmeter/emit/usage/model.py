"""What one model call used, in our token classes, whoever served it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from tokenmeter.events.accept import DETAILS, INT_FIELDS, NAME_FIELDS, TIME_FIELDS, violations
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Poison


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The quantities of UsageEvent, tokens and counts, and what the response says of itself.

    ``input_tokens`` includes cached and cache-write tokens, ``output_tokens`` includes reasoning. ``tool_calls`` counts
    every tool that the model called, server-side ones included. ``reported_cost`` is in USD, the upstream's own figure.
    ``provider`` is set where a router names who served. ``also`` holds the model calls that the upstream made on
    another model inside this one: each is an event of its own, for it has a price of its own.

    ``notes`` names what is odd: a field that was clamped, a figure that the answer did not tell and is 0 here
    (``input_tokens``), or, as name=value, what is billed and has no column (``audio_seconds=9``). ``error_class`` is
    the answer's own word for its failure, where it came with HTTP 200; ``region`` is where it says that it ran.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0

    images_in: int = 0
    images_out: int = 0
    video_seconds: int = 0
    tool_calls: int = 0
    tool_call_errors: int = 0
    web_searches: int = 0

    model: str | None = None
    finish_reason: str | None = None
    upstream_id: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    region: str | None = None
    error_class: str | None = None
    byok: bool = False
    reported_cost: Decimal | None = None
    notes: tuple[str, ...] = ()

    also: tuple[Usage, ...] = ()

    def quantities(self) -> dict[str, int]:
        """The token and count fields by name."""
        return {name: getattr(self, name) for name in QUANTITY_FIELDS}


_REST: dict[str, object] = {
    **dict.fromkeys(INT_FIELDS, 0),
    **{f"{name}_us": 0 for name in TIME_FIELDS},
    **{f"{name}_bytes": 1 for name in NAME_FIELDS},
    **dict.fromkeys(("is_correction", "has_corrects", "has_bucket", "has_known_bucket"), False),
    **dict.fromkeys(("has_rating", "has_readable_rating"), False),
    "calls": 0,
}
"""What the accept rule asks of an event beyond its usage, in values that break no rule."""


UNKNOWN_TOKENS = ("input_tokens", "output_tokens")
"""Notes of an answer that tells no tokens, and says how many images, pages or seconds it is billed for."""

_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("input_tokens", ("cached_input_tokens", "cache_write_1h_tokens", "cache_write_tokens")),
    ("input_tokens", ("input_audio_tokens", "input_image_tokens")),
    ("output_tokens", ("reasoning_tokens",)),
    ("output_tokens", ("output_audio_tokens", "output_image_tokens")),
)
"""A total, and the parts that together may not exceed it."""


def clamped(usage: Usage) -> Usage:
    """``usage`` with no part beyond its total, and a note for each that was."""
    changed: dict[str, int] = {}
    for total, parts in _PARTS:
        room = getattr(usage, total)
        for part in parts:
            count = getattr(usage, part)
            if count > room >= 0:
                changed[part] = count = room
            room -= count
    if not changed:
        return usage
    return replace(usage, **changed, notes=(*usage.notes, *changed))  # type: ignore[arg-type]


def checked(family: str, usage: Usage) -> Usage:
    """``usage``, its parts clamped to their totals, once the rule that SDK, meter and audit apply has passed it.

    Raises Poison with accept's own reason (``negative``, ``too_large``, ``breakdown``, ``range``), the rule in words
    and the figures that break it.
    """
    usage = clamped(usage)
    event = {**_REST, **usage.quantities(), "reported_cost": usage.reported_cost or Decimal(0)}
    for reason, violated in violations(event):
        if violated:
            figures = ", ".join(f"{name}={value}" for name, value in usage.quantities().items() if value)
            raise Poison(
                reason,
                f"the usage of a {family} response breaks a rule: {DETAILS[reason]}; it has {figures or 'no tokens'}"
                f", reported_cost={usage.reported_cost}",
                hint="keep the response's usage object and report it: the provider's shape may have changed",
            )
    return replace(usage, also=tuple(checked(family, inner) for inner in usage.also)) if usage.also else usage
