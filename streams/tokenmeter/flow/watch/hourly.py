"""What changes once an hour at most, worked out once an hour: seasons, the scales of habit, the spread of hours.

It follows from the columns alone, so it is no state: a block that got new rows or records works it out again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenmeter.flow.watch import cusum, habit, residual, season
from tokenmeter.flow.watch.exact import Floats
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.flow.watch.state import Columns


@dataclass(frozen=True)
class Hourly:
    """Each (rows): the season and its neighbours' extremes, scales without unit, φₕ × buckets an hour."""

    hour: int
    factor: Floats
    highest: Floats
    lowest: Floats
    spike: Floats
    up: Floats
    down: Floats
    quiet: Floats
    inflation: Floats

    @classmethod
    def of(cls, c: Columns, hour: int, seasonal: bool, plan: Settings) -> Hourly:
        one = np.ones(c.rows, np.float32)
        now, highest, lowest = season.factors(c, hour) if seasonal else (one, one, one)
        up, down, quiet = cusum.scales(c, plan.buckets_day)
        inflation = residual.hour_dispersion(c) * np.float32(plan.buckets_hour)
        spike = habit.scale(c, plan.buckets_day)
        return cls(hour, now, highest, lowest, spike, up, down, quiet, inflation)
