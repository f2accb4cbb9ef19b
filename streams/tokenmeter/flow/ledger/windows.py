"""The windows of budgets as keys, UTC: a new window is a new key, so nothing has to be set back to zero."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from tokenmeter.events.catalog_row import BudgetWindow
from tokenmeter.events.contract import DAY_MS

GRACE_MS = 2 * DAY_MS
"""A charge counts to a window until this long after its end; a later one can refuse nobody any more."""
LIFETIME = "lifetime"
_EPOCH = date(1970, 1, 1)


@lru_cache(4_096)
def key_of(window: str, day: int) -> str:
    """The window that holds a day (its number since 1970): 2026-11-30, 2026-W48, 2026-11 or lifetime."""
    at = _EPOCH + timedelta(days=day)
    match window:
        case BudgetWindow.DAY:
            return at.isoformat()
        case BudgetWindow.WEEK:
            year, week, _ = at.isocalendar()
            return f"{year:04}-W{week:02}"
        case BudgetWindow.MONTH:
            return f"{at.year:04}-{at.month:02}"
        case _:
            return LIFETIME


@lru_cache(4_096)
def ends_at_ms(key: str) -> int | None:
    """When a window ends; a lifetime does not."""
    if key == LIFETIME:
        return None
    if "W" in key:
        end = date.fromisocalendar(int(key[:4]), int(key[6:]), 1) + timedelta(days=7)
    elif len(key) == len("2026-11"):
        end = (date(int(key[:4]), int(key[5:]), 1) + timedelta(days=31)).replace(day=1)
    else:
        end = date.fromisoformat(key) + timedelta(days=1)
    return (end - _EPOCH).days * DAY_MS


def is_over(key: str, at_ms: int) -> bool:
    """Whether a window has ended so long ago that nothing counts to it any more."""
    end = ends_at_ms(key)
    return end is not None and at_ms >= end + GRACE_MS
