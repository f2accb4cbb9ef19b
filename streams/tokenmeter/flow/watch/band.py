"""What a subject is expected to do in a bucket, and above what it would be a spike: the band of its habit."""

from __future__ import annotations

import math

import numpy as np

from tokenmeter.flow.watch import habit, level, residual, season, settings
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.exact import LN_10, Doubles, Longs
from tokenmeter.flow.watch.settings import Form
from tokenmeter.flow.watch.state import BLOCK_ROWS, HOURS_WEEK
from tokenmeter.flow.watch.step import MONDAY_HOURS
from tokenmeter.flow.watch.tail import CURVE


def band(detector: Detector, row: int, buckets: Longs, exposure: Doubles) -> tuple[Doubles, Doubles]:
    """(expected, spike) for each of ``buckets``, in values, by what the detector has learned by now.

    ``exposure`` (buckets) is that of a RATIO; for a count it is not looked at. A LOSS is expected to be nothing.
    """
    if detector.plan.measure.form is Form.LOSS:
        return np.zeros(len(buckets)), detector.plan.measure.tolerance * exposure
    c, at = detector.blocks[row // BLOCK_ROWS].columns, row % BLOCK_ROWS
    plan, counts = detector.plan.settings, detector.plan.measure.form is Form.COUNT
    one = np.ones(1, np.float32)
    unit = float(c.size_squares[at] / c.size_sum[at]) if c.size_sum[at] > 0 else 1.0
    usual = float(level.rate(c)[at]) * (np.ones(len(buckets)) if counts else exposure)
    hours = (buckets * plan.bucket_s // 3600 + MONDAY_HOURS) % HOURS_WEEK
    seasons = {
        int(hour): season.factors(c, int(hour), plan.close) if counts else (one, one, one) for hour in np.unique(hours)
    }
    now, highest = (np.array([float(seasons[int(h)][i][at if counts else 0]) for h in hours]) for i in (0, 1))
    phi = float(residual.dispersion(c)[at])
    needed = plan.score * float(habit.scale(c, c.age, plan.buckets_day)[at])
    beyond = max(needed - settings.TAIL_SCORE, 0) * LN_10
    x = (math.sqrt(1 + 4 * CURVE * beyond) - 1) / (2 * CURVE)
    z = float(c.tail_start[at]) + x * float(c.tail_excess[at])
    middle = np.arcsinh(np.sqrt(phi * (usual * highest + 0.375)))
    spike = np.sinh(middle + z * math.sqrt(phi) / 2) ** 2 / phi - 0.375
    return usual * now * unit, spike * unit
