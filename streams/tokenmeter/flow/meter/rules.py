"""What an operator may set of a meter."""

from __future__ import annotations

from dataclasses import dataclass

from tokenmeter.flow.meter.dedup import HORIZON_MINUTES

QUARANTINE_RATIO_MAX = 0.5
"""A page with a larger share of unusable events stops the meter, unless they are one's fault: see ``outage.py``."""
QUARANTINE_RATIO_MIN_EVENTS = 1_000
"""... once it holds this many events."""


@dataclass(frozen=True)
class MeterRules:
    """The dedup horizon, and when poison is an outage."""

    horizon_ms: int = HORIZON_MINUTES * 60_000
    quarantine_ratio_max: float = QUARANTINE_RATIO_MAX
    quarantine_ratio_min_events: int = QUARANTINE_RATIO_MIN_EVENTS
