"""The level λ of a subject: a discounted gamma-Poisson mean.

a ← δa + y', b ← δb + S·n, λ = a / b, with y' the taught value, S the season and n the exposure (1 for a count). δ has a
half-life of LEVEL_DAYS; as b begins near zero a young subject's memory is its age. A second one with a half-life of
hours, ``recent``, is what the level becomes when a shift is the new normal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.exact import Floats, at_least
from tokenmeter.flow.watch.state import Columns

PRIOR = 0.05
"""Weight, in buckets, of the one call each bucket that a subject starts with."""
NEW_NORMAL_WEIGHT = 4.0
"""Weight of a new normal in memories of the recent level: about six hours."""


def start(c: Columns) -> None:
    c.level_sum[:] = c.level_weight[:] = PRIOR
    c.recent_sum[:] = c.recent_weight[:] = PRIOR


def rate(c: Columns) -> Floats:
    """λ (rows), typical calls per bucket, or per unit of exposure."""
    return c.level_sum / at_least(c.level_weight, 1e-6)


def learn(c: Columns, taught: Floats, y: Floats, exposure: Floats, discount: float, recent: float) -> None:
    """``taught`` and ``y`` (rows), typical calls; ``exposure`` (rows) is S·n."""
    c.level_sum *= discount
    c.level_sum += taught
    c.level_weight *= discount
    c.level_weight += exposure
    c.recent_sum *= recent
    c.recent_sum += y
    c.recent_weight *= recent
    c.recent_weight += exposure


def typical_day(c: Columns, rows: NDArray[np.intp], discount: float, buckets_day: int) -> Floats:
    """Typical calls a day (rows), over the level's memory."""
    memory = np.clip(c.age[rows].astype(np.float32), 1, 1 / (1 - discount))
    found: Floats = c.level_sum[rows] / memory * np.float32(buckets_day)
    return found


def accept(c: Columns, rows: NDArray[np.intp]) -> None:
    """The recent level is the new normal of ``rows``, and as sure as its memory is long."""
    recent = np.maximum(c.recent_weight[rows], np.float32(1e-6))
    weight = np.minimum(c.level_weight[rows], NEW_NORMAL_WEIGHT * recent)
    c.level_sum[rows] = c.recent_sum[rows] / recent * weight
    c.level_weight[rows] = weight
    c.level_long[rows] = c.recent_sum[rows] / recent
    c.drift[rows] = 0
