"""The band of a subject's habit: what it is expected to do in a bucket, and what would be much too little or too much.

Too much is what the detector calls a spike, bit by bit its own formula solved for the value. A fall has no such line of
one bucket: it is told by sums. ``low`` is as improbable on the other side, by the smallest of the hours about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tokenmeter.flow.watch import habit, level, residual, season, settings
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.exact import LN_10, Doubles, Longs
from tokenmeter.flow.watch.settings import Form
from tokenmeter.flow.watch.state import BLOCK_ROWS, FIELDS, HOURS_WEEK, Columns
from tokenmeter.flow.watch.step import MONDAY_HOURS
from tokenmeter.flow.watch.tail import CURVE

HOURS_BEFORE, HOURS_AFTER = 23, 6
"""Of an alert's own band, about the hour in which it is told. After NEW_NORMAL_HOURS it would be another's."""


@dataclass(frozen=True)
class Band:
    """Values of a bucket each (buckets), by what the detector has learned by now."""

    low: Doubles
    expected: Doubles
    high: Doubles


def band(detector: Detector, row: int, buckets: Longs, exposure: Doubles) -> Band:
    """The band of ``row`` in each of ``buckets``.

    ``exposure`` (buckets) is that of a RATIO; for a count it is not looked at. A LOSS is expected to be nothing.
    """
    if detector.plan.measure.form is Form.LOSS:
        nothing = np.zeros(len(buckets))
        return Band(nothing, nothing, detector.plan.measure.tolerance * exposure)
    c = _one(detector.blocks[row // BLOCK_ROWS].columns, row % BLOCK_ROWS)
    plan, counts = detector.plan.settings, detector.plan.measure.form is Form.COUNT
    one = np.ones(1, np.float32)
    unit = float(c.size_squares[0] / c.size_sum[0]) if c.size_sum[0] > 0 else 1.0
    usual = float(level.rate(c)[0]) * (np.ones(len(buckets)) if counts else exposure)
    hours = (buckets * plan.bucket_s // 3600 + MONDAY_HOURS) % HOURS_WEEK
    seasons = {
        int(hour): season.factors(c, int(hour), plan.close) if counts else (one, one, one) for hour in np.unique(hours)
    }
    now, highest, lowest = (np.array([float(seasons[int(h)][i][0]) for h in hours]) for i in (0, 1, 2))
    phi = float(residual.dispersion(c)[0])
    needed = plan.score * float(habit.scale(c, c.age, plan.buckets_day)[0])
    beyond = max(needed - settings.TAIL_SCORE, 0) * LN_10
    x = (math.sqrt(1 + 4 * CURVE * beyond) - 1) / (2 * CURVE)
    z = float(c.tail_start[0]) + x * float(c.tail_excess[0])

    def at(mean: Doubles, deviations: float) -> Doubles:
        """The value so many deviations off ``mean``; 0 when even nothing is not as far."""
        root = np.arcsinh(np.sqrt(phi * (mean + 0.375))) + deviations * math.sqrt(phi) / 2
        return np.asarray(np.maximum(np.sinh(np.maximum(root, 0)) ** 2 / phi - 0.375, 0))

    return Band(at(usual * lowest, -z) * unit, usual * now * unit, at(usual * highest, z) * unit)


def hours_about(detector: Detector, row: int, bucket: int, exposure: float) -> tuple[int, Band]:
    """(the first hour since 1970, the band of HOURS_BEFORE hours, that of ``bucket``, and HOURS_AFTER).

    With an exposure, that of the bucket, it is of one unit of it: the share of errors, say. To six digits, so that a
    library's last bit changes no alert.
    """
    plan = detector.plan.settings
    hour = bucket * plan.bucket_s // 3600
    hours = np.arange(hour - HOURS_BEFORE, hour + HOURS_AFTER + 1, dtype=np.int64)
    per = 1.0 if detector.plan.measure.form is Form.COUNT else max(exposure, 1e-9)
    found = band(detector, row, hours * 3600 // plan.bucket_s, np.full(len(hours), per))
    return int(hours[0]), Band(*(_short(of / per) for of in (found.low, found.expected, found.high)))


def of_newcomer(detector: Detector, bucket: int, seen: float, score: float) -> tuple[int, Band]:
    """As ``hours_about``, of who has no habit: nothing is expected of it, and ``high`` is what is rare for a new one.

    New ones are judged by what they spend; what they do is taken to go with it.
    """
    first = bucket * detector.plan.settings.bucket_s // 3600 - HOURS_BEFORE
    nothing, spend = np.zeros(HOURS_BEFORE + 1 + HOURS_AFTER), detector.newcomers.spend
    return first, Band(nothing, nothing, _short(nothing + seen * spend(detector.plan.settings.score) / spend(score)))


def _short(values: Doubles) -> Doubles:
    return np.array([float(f"{value:.6g}") for value in values.tolist()])


def _one(c: Columns, row: int) -> Columns:
    return Columns({name: getattr(c, name)[..., row : row + 1] for name, _, _ in FIELDS})
