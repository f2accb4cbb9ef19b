"""A day in the terminal: bars of what was seen, over the band of what was expected."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from rich.text import Text

from tokenmeter.flow.watch.exact import Doubles
from tokenmeter.stack.alerts.history import Day

COLUMNS, ROWS = 96, 12
LOG_RATIO = 8.0
"""What rises so many times over the band is drawn on a logarithmic scale."""


def chart(day: Day) -> Text:
    """Each column is a quarter of an hour: its highest minute, in red where that is over the band."""
    parts = [np.array_split(column, COLUMNS) for column in (day.seen, day.expected, day.spike)]
    seen, expected, spike = (np.array([float(part.max()) for part in of]) for of in parts)
    top = max(float(seen.max()), float(spike.max()), 1e-9)
    logarithmic = top > LOG_RATIO * max(float(spike.max()), 1e-9) or top > LOG_RATIO * max(float(expected.max()), 1e-9)

    def height(values: Doubles) -> Doubles:
        scaled = np.log1p(99 * values / top) / np.log(100) if logarithmic else values / top
        return np.asarray(np.clip(scaled, 0, 1) * ROWS)

    bars, low, high = height(seen), height(expected), height(spike)
    made = Text()
    for row in range(ROWS, 0, -1):
        label = top if row == ROWS else 0.0 if row == 1 else None
        made.append("".rjust(12) if label is None else f"{label:,.0f}".rjust(12), style="dim")
        made.append(" ")
        for column in range(COLUMNS):
            if bars[column] > row - 0.5:
                made.append("█", style="red" if seen[column] > spike[column] else "green")
            elif low[column] < row <= high[column] + 0.5:
                made.append("░", style="dim")
            else:
                made.append(" ")
        made.append("\n")
    first, last = (datetime.fromtimestamp(int(day.buckets[at]) * day.bucket_s, UTC) for at in (0, -1))
    made.append(f"{'':13}{first:%Y-%m-%d %H:%M}Z".ljust(13 + COLUMNS - 6) + f"{last:%H:%M}Z\n", style="dim")
    scale = "logarithmic, " if logarithmic else ""
    made.append(f"{'':13}█ the highest minute of each quarter of an hour, ░ up to where it is a spike; {scale}")
    made.append(f"the band as learned until {day.learned_until:%Y-%m-%d %H:%M}Z")
    return made
