"""Burn, slow shift, bursts, drop and silence: cumulative sums in nats, each on the scale of the subject's daily maxima.

Up:      C ← max(0, C + (y'·ln c − (c−1)·μ) / D), c = SHIFT_UP: the log likelihood ratio of c·μ against μ for a count.
Slow:    the same of whole hours, once an hour, c = SHIFT_SLOW: a level that rises by half is told after half a day.
Bursts:  C ← max(0, C + [z in the tail]·ln k − (k−1)·TAIL_SHARE), k = SHIFT_OFTEN: how often, however much each.
Down:    C ← max(0, C + ((1−c)·μ + y'·ln c) / D), c = SHIFT_DOWN.
Silence: C ← C + 2μ/(2+φμ) while y = 0, else 0: not more than ln(1+φμ)/φ, −ln of a negative binomial's zero.
D = 1 + max(φμ, φₕ·Σμ of an hour) is variance over mean: of a bucket, or of an hour where its buckets move together.
A sum whose model is right has daily maxima of about PEAK_CALIBRATED; that of a subject whose days reach higher is
divided by how much: score = C / (s · ln 10), s = max(SCALE_MIN, mean daily maximum / PEAK_CALIBRATED), of a fall
PEAK_CALIBRATED_FALLS: days differ more in what is missing than in what is too much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Floats, Ints, Mask, at_least
from tokenmeter.flow.watch.state import Columns

LN_SHIFT_UP, LN_SHIFT_SLOW, LN_SHIFT_OFTEN, LN_SHIFT_DOWN = 0.69314718, 0.33647224, 1.7917595, -0.40546511
SCALE_MIN = 0.4
"""A sum of a subject whose days never reach far counts for the inverse at most; that of a burn and of a slow shift:"""
SCALE_MIN_RISES = 0.2
SCALE_MIN_SLOW = 0.5
SCALE_MIN_SLOW_WARY = 1.0
SCALE_MIN_OFTEN = 0.5
SHIFTING = 1.0
"""A slow shift's excess is counted from the hour in which its score is over this."""
CAP = 20.0
"""A sum stops at so many nats of its own scale, so that it comes down again."""


class Scale(NamedTuple):
    """What a sum is multiplied by to be a score, and where it stops (rows each)."""

    points: Floats
    cap: Floats

    @classmethod
    def of(cls, s: Floats) -> Scale:
        return cls(1 / (s * np.float32(LN_10)), CAP * s)


def scales(c: Columns, age: Ints, plan: settings.Settings) -> tuple[Scale, Scale, Scale, Scale, Scale]:
    """Of up, slow, often, down and silence."""
    peaks = (
        (c.peak_up, settings.PEAK_CALIBRATED, SCALE_MIN_RISES),
        (c.peak_slow, *_slow(plan)),
        (c.peak_often, settings.PEAK_CALIBRATED_OFTEN, SCALE_MIN_OFTEN),
        (c.peak_down, settings.PEAK_CALIBRATED_FALLS, SCALE_MIN),
        (c.peak_quiet, settings.PEAK_CALIBRATED_FALLS, SCALE_MIN),
    )
    up, slow, often, down, quiet = (
        np.maximum(peak * np.float32(1 / calibrated), np.float32(least)) for peak, calibrated, least in peaks
    )
    # While the week was not known the sum was held down: what it never did then says little of what it does now.
    fresh = age >= plan.buckets(settings.WEEK_DAYS)
    if plan.close:
        fresh &= age < plan.buckets(settings.HELD_DAYS)
    up = np.where(fresh, np.maximum(up, np.float32(1)), up)
    return Scale.of(up), Scale.of(slow), Scale.of(often), Scale.of(down), Scale.of(quiet)


def _slow(plan: settings.Settings) -> tuple[float, float]:
    """What a slow shift's peaks are held against, and the least scale of its sum."""
    if plan.close:
        return settings.PEAK_CALIBRATED_SLOW, SCALE_MIN_SLOW
    return settings.PEAK_CALIBRATED_SLOW_WARY, SCALE_MIN_SLOW_WARY


def add(now: Floats, top: Floats, step: Floats, scale: Scale) -> Floats:
    """Move one sum by ``step`` (rows, nats) in place; returns its score, −log10 p."""
    now += step
    at_least(now, 0, out=now)
    np.minimum(now, scale.cap, out=now)
    np.maximum(top, now, out=top)
    found: Floats = now * scale.points
    return found


def up(c: Columns, y: Floats, mean: Floats, divisor: Floats, scale: Scale) -> Floats:
    step = (y * np.float32(LN_SHIFT_UP) - mean * np.float32(settings.SHIFT_UP - 1)) / divisor
    return add(c.sum_up, c.top_up, step, scale)


def slow(c: Columns, y: Floats, mean: Floats, divisor: Floats, scale: Scale) -> None:
    """Fold an hour. The sum of a subject in alarm is spent by an hour that is under what it waits for."""
    step = (y * np.float32(LN_SHIFT_SLOW) - mean * np.float32(settings.SHIFT_SLOW - 1)) / divisor
    add(c.sum_slow, c.top_slow, step, scale)
    c.sum_slow[(c.state_up > 0) & (step < 0)] = 0


def often(c: Columns, over: Floats, scale: Scale) -> Floats:
    """``over`` (rows): z over where the tail begins."""
    usual = (settings.SHIFT_OFTEN - 1) * settings.TAIL_SHARE
    step = np.where(over > 0, np.float32(LN_SHIFT_OFTEN - usual), np.float32(-usual))
    return add(c.sum_often, c.top_often, step, scale)


def shifted(c: Columns, scale: Scale, young: Mask) -> Floats:
    """The score of the slow sum (rows), the same all through an hour; 0 under SHIFTING and of the ``young``."""
    found: Floats = c.sum_slow * scale.points
    found[young | (found <= SHIFTING)] = 0
    return found


def down(c: Columns, y: Floats, mean: Floats, divisor: Floats, scale: Scale) -> Floats:
    step = (mean * np.float32(1 - settings.SHIFT_DOWN) + y * np.float32(LN_SHIFT_DOWN)) / divisor
    return add(c.sum_down, c.top_down, step, scale)


def silence(c: Columns, y: Floats, mean: Floats, phi: Floats, scale: Scale) -> Floats:
    quiet = (y <= 0).astype(np.float32)
    now = c.sum_quiet
    now *= quiet
    return add(now, c.top_quiet, 2 * mean / (2 + phi * mean) * quiet, scale)


def forget(c: Columns, rows: Mask) -> None:
    """Empty the sums of ``rows``, but for that of bursts, which learns what a young subject's are."""
    sums, tops = (c.sum_up, c.sum_slow, c.sum_down, c.sum_quiet), (c.top_up, c.top_slow, c.top_down, c.top_quiet)
    for total in (*sums, *tops):
        total[rows] = 0
