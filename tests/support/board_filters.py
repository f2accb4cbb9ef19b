"""Which filters of the boards Market and Calls reach which charts: the table that tests hold the boards against."""

from __future__ import annotations

from collections.abc import Mapping

NAMES = frozenset(("model", "author", "provider", "app"))
RUNNING = ("pipeline", "pages", "quarantine", "reconcile", "audit")
"""Views of how metering runs, of no model or app."""
REACHED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("models", "money", "contexts", "app_days", "app_shares", "recent_models", "recent_apps"), NAMES),
    **dict.fromkeys(("hours", "calls_by_hour", "calls_by_minute"), NAMES),
    "rankings": frozenset(("model",)),  # whose rank and share stay the market's
    **dict.fromkeys(RUNNING, frozenset()),
}
"""Which filters a chart has, by its dataset; the time range reaches every chart with a time column."""
