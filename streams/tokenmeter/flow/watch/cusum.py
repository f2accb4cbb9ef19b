"""Slow burn, drop and silence: cumulative sums in nats, each measured against the subject's own daily maxima.

Up:      C ← max(0, C + (y'·ln c − (c−1)·μ) / D), c = SHIFT: the log likelihood ratio of c·μ against μ for a count.
Down:    C ← max(0, C + ((1−1/c)·μ − y'·ln c) / D).
Silence: C ← C + ln(1+φμ)/φ while y = 0 (−ln of a negative binomial's zero), else 0.
D = 1 + max(φμ, φₕ·Σμ of an hour) is variance over mean: of a bucket, or of an hour where its buckets move together.
A sum whose model is right has daily maxima of about PEAK_CALIBRATED; that of a subject whose days reach higher is
divided by how much: score = C / (s · ln 10), s = max(1, mean daily maximum / PEAK_CALIBRATED), of a fall
PEAK_CALIBRATED_FALLS: days differ more in what is missing than in what is too much.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Floats, log
from tokenmeter.flow.watch.state import Columns

LN_SHIFT = 0.40546511
CAP = 40.0
"""A sum stops at so many nats of its own scale, so that it comes down again."""


def scale(peak: Floats, calibrated: float) -> Floats:
    """s (rows), without unit."""
    found: Floats = np.maximum(peak * np.float32(1 / calibrated), 1)
    return found


def add(now: Floats, top: Floats, peak: Floats, step: Floats, calibrated: float) -> Floats:
    """Move one sum by ``step`` (rows, nats) in place; returns its score, −log10 p."""
    s = scale(peak, calibrated)
    now += step
    np.clip(now, 0, CAP * s, out=now)
    np.maximum(top, now, out=top)
    return now / (s * LN_10)


def up(c: Columns, y: Floats, mean: Floats, divisor: Floats) -> Floats:
    return add(
        c.sum_up, c.top_up, c.peak_up, (y * LN_SHIFT - mean * (settings.SHIFT - 1)) / divisor, settings.PEAK_CALIBRATED
    )


def down(c: Columns, y: Floats, mean: Floats, divisor: Floats) -> Floats:
    return add(
        c.sum_down,
        c.top_down,
        c.peak_down,
        (mean * (1 - 1 / settings.SHIFT) - y * LN_SHIFT) / divisor,
        settings.PEAK_CALIBRATED_FALLS,
    )


def silence(c: Columns, y: Floats, mean: Floats, phi: Floats) -> Floats:
    quiet = y <= 0
    c.sum_quiet *= quiet
    return add(
        c.sum_quiet, c.top_quiet, c.peak_quiet, log(1 + phi * mean) / phi * quiet, settings.PEAK_CALIBRATED_FALLS
    )
