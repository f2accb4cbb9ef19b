"""Slow burn, drop and silence: cumulative sums in nats, each measured against the subject's own daily maxima.

Up:      C ← max(0, C + (y'·ln c − (c−1)·μ) / D), c = SHIFT: the log likelihood ratio of c·μ against μ for a count.
Down:    C ← max(0, C + ((1−1/c)·μ − y'·ln c) / D).
Silence: C ← C + 2μ/(2+φμ) while y = 0, else 0: not more than ln(1+φμ)/φ, −ln of a negative binomial's zero.
D = 1 + max(φμ, φₕ·Σμ of an hour) is variance over mean: of a bucket, or of an hour where its buckets move together.
A sum whose model is right has daily maxima of about PEAK_CALIBRATED; that of a subject whose days reach higher is
divided by how much: score = C / (s · ln 10), s = max(SCALE_MIN, mean daily maximum / PEAK_CALIBRATED), of a fall
PEAK_CALIBRATED_FALLS: days differ more in what is missing than in what is too much.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Floats, Mask
from tokenmeter.flow.watch.state import Columns

LN_SHIFT = 0.40546511
SCALE_MIN = 0.4
"""A sum of a subject whose days never reach far counts for the inverse at most."""
CAP = 20.0
"""A sum stops at so many nats of its own scale, so that it comes down again."""


def scales(c: Columns, buckets_day: int) -> tuple[Floats, Floats, Floats]:
    """s of up, down and silence (rows)."""
    peaks = (
        (c.peak_up, settings.PEAK_CALIBRATED),
        (c.peak_down, settings.PEAK_CALIBRATED_FALLS),
        (c.peak_quiet, settings.PEAK_CALIBRATED_FALLS),
    )
    up, down, quiet = (
        np.maximum(peak * np.float32(1 / calibrated), np.float32(SCALE_MIN)) for peak, calibrated in peaks
    )
    # While the week was not known the sum was held down: what it never did then says little of what it does now.
    fresh = (c.age >= settings.WEEK_DAYS * buckets_day) & (c.age < settings.HELD_DAYS * buckets_day)
    return np.where(fresh, np.maximum(up, np.float32(1)), up), down, quiet


def add(now: Floats, top: Floats, step: Floats, scale: Floats) -> Floats:
    """Move one sum by ``step`` (rows, nats) in place; returns its score, −log10 p."""
    now += step
    np.maximum(now, 0, out=now)
    np.minimum(now, CAP * scale, out=now)
    np.maximum(top, now, out=top)
    found: Floats = now / (scale * np.float32(LN_10))
    return found


def up(c: Columns, y: Floats, mean: Floats, divisor: Floats, scale: Floats) -> Floats:
    step = (y * np.float32(LN_SHIFT) - mean * np.float32(settings.SHIFT - 1)) / divisor
    return add(c.sum_up, c.top_up, step, scale)


def down(c: Columns, y: Floats, mean: Floats, divisor: Floats, scale: Floats) -> Floats:
    step = (mean * np.float32(1 - 1 / settings.SHIFT) - y * np.float32(LN_SHIFT)) / divisor
    return add(c.sum_down, c.top_down, step, scale)


def silence(c: Columns, y: Floats, mean: Floats, phi: Floats, scale: Floats) -> Floats:
    quiet = (y <= 0).astype(np.float32)
    now = c.sum_quiet
    now *= quiet
    return add(now, c.top_quiet, 2 * mean / (2 + phi * mean) * quiet, scale)


def forget(c: Columns, rows: Mask) -> None:
    """Empty the sums of ``rows``."""
    for total in (c.sum_up, c.sum_down, c.sum_quiet, c.top_up, c.top_down, c.top_quiet):
        total[rows] = 0
