"""What one model call used, in our token classes, whoever served it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
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
    byok: bool = False
    reported_cost: Decimal | None = None

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


def checked(family: str, usage: Usage) -> Usage:
    """``usage`` itself, once the rule that SDK, meter and audit apply has passed it.

    Raises Poison with accept's own reason (``negative``, ``too_large``, ``breakdown``, ``range``), the rule in words
    and the figures that break it.
    """
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
    for inner in usage.also:
        checked(family, inner)
    return usage
