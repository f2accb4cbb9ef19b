"""Times of day and weekdays of a price: as people write them, and as LiteLLM and OpenRouter do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import ANY_MODEL, EVERY_WEEKDAY, MINUTES_PER_DAY
from tokenmeter.flow.rate.matching import week_minutes

_ANY_TIME = datetime.fromtimestamp(0, UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)$")


@dataclass(frozen=True)
class Window:
    """When a price holds: UTC minutes of the day, None for all of it, on the weekdays on which it starts."""

    start_minute: int | None = None
    end_minute: int | None = None
    weekdays: int = EVERY_WEEKDAY

    def fields(self) -> dict[str, Any]:
        """The fields of a Price."""
        return {
            "window_start_minute": self.start_minute,
            "window_end_minute": self.end_minute,
            "weekdays": self.weekdays,
        }


ALWAYS = Window()


def hours(text: str, weekdays: int = EVERY_WEEKDAY) -> Window:
    """``22:00-02:00``; from a time to the same is the whole day. ValueError when it is no window."""
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"window {text!r}: write it as 22:00-02:00, in UTC")
    begin, finish = _minute(start) % MINUTES_PER_DAY, _minute(end) % MINUTES_PER_DAY
    return Window(None, None, weekdays) if begin == finish else Window(begin, finish, weekdays)


def _minute(text: str) -> int:
    found = _CLOCK.match(text.strip())
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minute <= MINUTES_PER_DAY:
        raise ValueError(f"time {text.strip()!r}: write it as 22:00, in UTC")
    return minute


def days(text: str) -> int:
    """``mon-fri``, ``sat,sun`` or ``all`` as bits, Monday the lowest. ValueError when it names no days."""
    if text.strip().lower() in ("all", ""):
        return EVERY_WEEKDAY
    bits = 0
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        start = _day(first)
        length = (_day(last) - start) % 7 + 1 if dash else 1
        for day in range(start, start + length):
            bits |= 1 << day % 7
    return bits


def _day(name: str) -> int:
    if name[:3] not in DAYS:
        raise ValueError(f"weekday {name!r}: write mon, tue, wed, thu, fri, sat or sun, as in mon-fri or sat,sun")
    return DAYS.index(name[:3])


def from_midnight(window: Window) -> list[Window]:
    """Windows that say the same where weekdays are meant of the moment itself, not of the day the window started on."""
    start, end = window.start_minute, window.end_minute
    if start is None or end is None or window.weekdays == EVERY_WEEKDAY or end == 0 or start < end:
        return [window]
    return [Window(start, 0, window.weekdays), Window(0, end, window.weekdays)]


def in_zone(window: Window, zone: str) -> list[Window]:
    """UTC windows that say the same where the hours are UTC's and the weekdays those of a time zone.

    ValueError for a zone whose clocks change, or that nobody knows: there is no such window then.
    """
    offset = _offset_minutes(zone)
    begin, finish = window.start_minute or 0, window.end_minute or MINUTES_PER_DAY
    midnight = -offset % MINUTES_PER_DAY
    cuts = [begin, midnight, finish] if begin < midnight < finish else [begin, finish]
    made = []
    for start, end in pairwise(cuts):
        ahead = (start + offset) // MINUTES_PER_DAY
        weekdays = sum(1 << day for day in range(7) if window.weekdays >> (day + ahead) % 7 & 1)
        whole = start == 0 and end == MINUTES_PER_DAY
        made.append(Window(None, None, weekdays) if whole else Window(start, end % MINUTES_PER_DAY, weekdays))
    return made


def _offset_minutes(zone: str) -> int:
    try:
        found = {datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in range(1, 13)}
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"time zone {zone!r} is not known") from error
    if len(found) > 1:
        raise ValueError(f"clocks of time zone {zone} change in the year")
    return int((found.pop() or timedelta()).total_seconds() // 60)


def shown(price: PriceTerms) -> str:
    """``22:00-02:00 mon-fri``, or nothing where a price always holds."""
    parts = []
    start, end = price.window_start_minute, price.window_end_minute
    if start is not None and end is not None:
        parts.append(f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}")
    if price.weekdays != EVERY_WEEKDAY:
        parts.append(shown_days(price.weekdays))
    return " ".join(parts)


def shown_days(bits: int) -> str:
    """``mon-fri``, ``sat,sun``: what ``days`` reads."""
    chosen = [day for day in range(7) if bits >> day & 1]
    if len(chosen) > 2 and chosen == list(range(chosen[0], chosen[-1] + 1)):
        return f"{DAYS[chosen[0]]}-{DAYS[chosen[-1]]}"
    return ",".join(DAYS[day] for day in chosen)


def bits_of(weekdays: Iterable[int]) -> int:
    """Bits of ISO weekdays, 1 for Monday."""
    return sum(1 << day - 1 for day in set(weekdays) if 1 <= day <= 7)


def overlap(one: Window, other: Window) -> bool:
    """Whether there is a minute of the week in both."""
    return bool(_minutes(one) & _minutes(other))


def _minutes(window: Window) -> int:
    """The minutes of the week as bits."""
    return minutes_of(PriceTerms(model=ANY_MODEL, effective_from=_ANY_TIME, **window.fields()))


def minutes_of(price: PriceTerms) -> int:
    """The minutes of the week in which a price holds, as bits."""
    return sum(((1 << end - start) - 1) << start for start, end in week_minutes(price))
