"""The season S: a factor for each hour of the day × one for each hour of the week, both learned once an hour.

The hour of the day is known after a day or two, that of the week after some weeks; each is a scalar Kalman filter. With
x = Σ y' / Σ μ₀ of an hour (μ₀ without the factor), V = 1/Σμ₀ + φₕ its relative variance and n earlier visits,
S ← S + g (x − S), g = max(2 / (2V/P + n + 2), g_min): P is how far hours differ among subjects, g_min forgets in weeks.
Too much is judged by the largest S of the hour and its neighbours, too little by the smallest, which absorbs summer
time.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch.exact import Floats
from tokenmeter.flow.watch.state import HOURS_WEEK, Columns

DAY_PRIOR, DAY_GAIN_MIN = 0.5, 1 / 14
WEEK_PRIOR, WEEK_GAIN_MIN = 0.15, 1 / 4
HOUR_VARIANCE_MIN = 0.02
FACTOR_MIN, FACTOR_MAX = 0.02, 20.0


def factor(c: Columns, hour: int) -> Floats:
    """S of the hour of the week (rows)."""
    found: Floats = c.day[hour % 24] * c.week[hour % HOURS_WEEK]
    return found


def factors(c: Columns, hour: int, held: bool) -> tuple[Floats, Floats, Floats]:
    """S of the hour of the week, the largest and the smallest of it and its two neighbours (rows each). ``held``: what
    the hour before has just taught does not make it the smallest, for it may be the drop."""
    before, now, after = (factor(c, h) for h in (hour + HOURS_WEEK - 1, hour, hour + 1))
    least = c.season_before if held else before
    return now, np.maximum(np.maximum(before, now), after), np.minimum(np.minimum(least, now), after)


def learn(c: Columns, hour: int, variance: Floats, buckets_day: int, share: Floats) -> None:
    """Fold the hour that ended; ``variance`` (rows) is φₕ, of whole hours. ``share`` (rows) of it is believed."""
    c.season_before[:] = factor(c, hour)
    mean = np.maximum(c.hour_mean, 1e-3)
    v = 1 / mean + np.maximum(variance, HOUR_VARIANCE_MIN)
    ratio = c.hour_y / mean
    days = (c.age // buckets_day).astype(np.float32)
    day, week = c.day[hour % 24], c.week[hour]
    seen = ratio / week
    # One odd day, a first weekend say, halves or doubles at most what three days agreed on.
    seen = np.where(days >= 3, np.clip(seen, day / 2, day * 2), seen)
    _move(day, seen, _gain(v, days, DAY_PRIOR, DAY_GAIN_MIN) * share)
    # An hour of the week is told from that of the day once the day is known, after the first week.
    weeks = np.floor(days / 7)
    _move(week, ratio / day, _gain(v, np.maximum(weeks - 1, 0), WEEK_PRIOR, WEEK_GAIN_MIN) * (weeks >= 1) * share)


def _gain(v: Floats, visits: Floats, prior: float, least: float) -> Floats:
    found: Floats = np.maximum(2 / (2 * v / prior + visits + 2), np.minimum(least, prior / (prior + v)))
    return found


def _move(now: Floats, seen: Floats, gain: Floats) -> None:
    now += gain * (seen - now)
    np.clip(now, FACTOR_MIN, FACTOR_MAX, out=now)
