"""What changes once an hour at most, worked out once an hour: seasons, the scales of habit, the spread of hours.

It follows from the columns alone, so it is no state: a block that got new rows or records works it out again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import cusum, drift, habit, residual, season, settings
from tokenmeter.flow.watch.cusum import Scale
from tokenmeter.flow.watch.exact import Floats
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.flow.watch.state import Columns

INFLATION_MAX = 0.4
"""The burn's variance counts no more of the spread of whole hours: more is of hours not yet known, and its scale knows
what they do."""


@dataclass(frozen=True)
class Hourly:
    """Each (rows): the season and its neighbours' extremes, scales without unit, a slow shift's score, φₕ × buckets an
    hour."""

    hour: int
    factor: Floats
    highest: Floats
    lowest: Floats
    spike: Floats
    up: Scale
    often: Scale
    shifted: Floats
    shifting: NDArray[np.intp]
    """Where ``shifted`` is not 0."""
    down: Scale
    quiet: Scale
    inflation: Floats
    allowance: Floats | None
    """The burn's, see settings.WEEK_ALLOWANCE; None: nobody's."""
    mature: bool
    """Nobody is in its first week."""
    doubt: Floats | None
    """What a score counts, see settings.DOUBT_SHARE; None: all of it, of everybody."""
    falls: NDArray[np.bool_]
    """Whose lack is judged."""

    @classmethod
    def of(cls, c: Columns, hour: int, passed: int, seasonal: bool, plan: Settings) -> Hourly:
        """``passed`` buckets of the hour are over: what follows from the age follows from that at its beginning."""
        age = c.age - passed
        one = np.ones(c.rows, np.float32)
        spread = residual.hour_dispersion(c)
        now, highest, lowest = season.factors(c, hour, plan.close) if seasonal else (one, one, one)
        up, slow, often, down, quiet = cusum.scales(c, age, plan)
        shifted = cusum.shifted(c, slow, age < plan.buckets(plan.slow_days))
        if seasonal and not plan.close:
            shifted = np.maximum(shifted, drift.score(c, age, plan.buckets_day))
        inflation = np.minimum(spread, INFLATION_MAX) * np.float32(plan.buckets_hour)
        # A Monday is no slow burn: until the week is known, its working days may be that much over the mean of all.
        unsure = age < plan.buckets(settings.WEEK_DAYS_CLOSE if plan.close else settings.WEEK_DAYS)
        allowance = np.where(unsure, np.float32(settings.WEEK_ALLOWANCE), one) if unsure.any() else None
        falls = age >= plan.buckets(settings.FALLS_DAYS)
        if plan.close:
            falls |= (spread < settings.STEADY_DISPERSION) & (age >= plan.buckets(settings.STEADY_DAYS))
        doubted = (
            (spread > settings.DOUBT_DISPERSION) & (age < plan.buckets(settings.DOUBT_DAYS))
            if plan.quiet
            else unsure[:0]
        )
        doubt = np.where(doubted, np.float32(settings.DOUBT_SHARE), one) if seasonal and doubted.any() else None
        spike = habit.scale(c, age, plan.buckets_day)
        shifting = np.flatnonzero(shifted)
        scales = spike, up, often, shifted, shifting, down, quiet
        mature = int(age.min(initial=2**31 - 1)) >= plan.buckets(settings.FIRST_WEEK_DAYS)
        return cls(hour, now, highest, lowest, *scales, inflation, allowance, mature, doubt, falls)
