"""A level that stays higher for a day or two: the mean excess of the last hours over a level that forgets in weeks.

Once an hour, with S the season, n buckets an hour and k of the half-life DRIFT_HOURS:
R ← k·R + (1 − k)·(y/n − Λ·S)/Λ and Λ ← Λ + g·(y/n − Λ·S), g = 1/(hours + 1), 1/LONG_DAYS at least.
R spans the hours of a day, so that what moves within one (summer time) hardly moves it; Λ hardly follows, so that a
shift is seen until it is accepted. p = exp(−R²/2s²): 2s² is the mean daily maximum of R², as learned from the subject's
own days, over PEAK_CALIBRATED_DRIFT. R has a few looks a day and not one a bucket: its score has LOOKS more.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import level, settings
from tokenmeter.flow.watch.exact import LN_10, Floats, Ints
from tokenmeter.flow.watch.state import Columns

DRIFT_HOURS = 16.0
KEPT = round(float(0.5 ** (1 / DRIFT_HOURS)), 12)
LONG_DAYS = 30
PEAK_CALIBRATED_DRIFT = 0.6
PROBATION_DAYS, PEAK_GAIN_MIN, PEAK_CUT = 14, 1 / 10, 4.0
PEAK_MIN = 0.006
"""No subject's days are thought steadier than to a fourteenth: a quarter more for a day is not worth telling."""
LOOKS = 0.5
"""What a look at every hour is worth more than one at every minute, less what its tail is heavier than a normal one:
of clean keys of 42 to 60 days 20 in 100 000 a day pass 6.7 without it, before money gates them."""
SHIFTING = 3.0
"""Its excess is counted from the hour in which its score is over this."""
SCORE_MAX = 9.0
"""... and it is no more than this: a mean of a day has no heavier proof."""


def start(c: Columns) -> None:
    c.peak_drift[:] = settings.PEAK_PRIOR_DRIFT


def usual(c: Columns) -> Floats:
    """Λ (rows); of a subject that has not shown an hour its level."""
    found: Floats = np.where(c.level_long > 0, c.level_long, level.rate(c))
    return found


def learn_hour(c: Columns, factor: Floats, buckets_hour: int, hours: Ints) -> None:
    """Fold an hour; ``factor`` and ``hours`` (rows): its season and the age."""
    long, n = usual(c), np.float32(buckets_hour)
    y = c.hour_y - c.hour_late
    off = (y / n - long * factor) / np.maximum(long, np.float32(1e-6))
    c.drift += np.float32(1 - KEPT) * (np.minimum(off, np.float32(settings.DRIFT_CUT)) - c.drift)
    np.maximum(c.top_drift, np.square(np.maximum(c.drift, 0)), out=c.top_drift)
    gain = np.maximum(1 / (hours.astype(np.float32) + 1), np.float32(1 / (LONG_DAYS * 24)))
    c.level_long[:] = np.maximum(long + gain * (y / n - long * factor), 0)


def learn_day(c: Columns, days: Ints) -> None:
    """A day ended, of subjects of that age: fold its maximum. The first week has no weekend to compare with."""
    since = np.maximum(days - PROBATION_DAYS, 0).astype(np.float32)
    gain = np.where(since > 0, np.maximum(1 / (since + 1), np.float32(PEAK_GAIN_MIN)), 0)
    c.peak_drift += gain * (np.minimum(c.top_drift, np.float32(PEAK_CUT) * c.peak_drift) - c.peak_drift)
    c.top_drift[:] = 0


def score(c: Columns, age: Ints, buckets_day: int) -> Floats:
    """−log10 p (rows), the same all through an hour; 0 under SHIFTING and the age of DRIFT_DAYS."""
    spread = np.maximum(c.peak_drift, np.float32(PEAK_MIN)) * np.float32(LN_10 / PEAK_CALIBRATED_DRIFT)
    found: Floats = np.square(np.maximum(c.drift, 0)) / spread + np.float32(LOOKS)
    found[(age < settings.DRIFT_DAYS * buckets_day) | (found <= SHIFTING)] = 0
    return np.minimum(found, np.float32(SCORE_MAX))
