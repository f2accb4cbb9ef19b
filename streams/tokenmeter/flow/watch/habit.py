"""What a subject's worst hour of an ordinary day looks like: the scale that every statistic is measured against.

Buckets of one burst are not independent, and a model is never quite right; daily maxima know both. For each statistic
the mean of its daily maxima is kept (a rise teaches twice as fast as a fall, a day teaches 3 × the mean at most), and
the statistic is divided by mean / what it would be if the model were right: for a score, (ln n + 0.577) / ln 10 with n
buckets a day.
"""

from __future__ import annotations

import math

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Floats, Ints
from tokenmeter.flow.watch.state import Columns

CUT = 3.0
SCALE_MIN = 0.5
"""A spike's score is raised by the inverse at most; under the age of FRESH_DAYS:"""
SCALE_MIN_FRESH = 0.7
FRESH_DAYS = 14


def expected(buckets_day: int) -> float:
    """Mean daily maximum of −log10 p of independent buckets."""
    return round((math.log(buckets_day) + 0.577) / LN_10, 6)


def start(c: Columns, buckets_day: int) -> None:
    c.peak_spike[:] = expected(buckets_day) * settings.PEAK_PRIOR_SPIKE
    c.peak_up[:] = c.peak_slow[:] = settings.PEAK_PRIOR
    c.peak_often[:] = settings.PEAK_PRIOR_OFTEN
    c.peak_down[:] = c.peak_quiet[:] = settings.PEAK_PRIOR_FALLS


def scale(c: Columns, age: Ints, buckets_day: int) -> Floats:
    """What the spikes' score is divided by (rows)."""
    least = np.where(age < FRESH_DAYS * buckets_day, np.float32(SCALE_MIN_FRESH), np.float32(SCALE_MIN))
    found: Floats = np.maximum(c.peak_spike * np.float32(1 / expected(buckets_day)), least)
    return found


def calibrated(c: Columns, score: Floats, scale: Floats) -> Floats:
    """The spikes' score on the subject's own scale (rows); notes the day's maximum."""
    np.maximum(c.top_spike, score, out=c.top_spike)
    return score / scale


def learn_day(c: Columns, buckets_day: int) -> None:
    """A day ended: fold its maxima."""
    days = (c.age // buckets_day).astype(np.float32)
    # The first days' maxima are errors of learning.
    rise = np.maximum(2 / (days + 1), 2 * settings.PEAK_GAIN_MIN) * (days >= 2)
    for top, peak in (
        (c.top_spike, c.peak_spike),
        (c.top_up, c.peak_up),
        (c.top_slow, c.peak_slow),
        (c.top_often, c.peak_often),
        (c.top_down, c.peak_down),
        (c.top_quiet, c.peak_quiet),
    ):
        off = np.minimum(top, CUT * peak) - peak
        peak += off * rise * np.where(off > 0, 1, 0.5)
        top[:] = 0
