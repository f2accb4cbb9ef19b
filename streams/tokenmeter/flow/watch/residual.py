"""How far a value is from its expectation, in deviations of a negative binomial.

Variance of y: μ + φμ². φ = Σ((y−μ)² − μ) / Σμ² (discounted, DISPERSION_DAYS), and the level is not known exactly, which
adds 1/a. z = (2/√φ) · [asinh √(φ(y+⅜)) − asinh √(φ(μ+⅜))], about standard normal.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import Floats, Ints, at_least, at_most, log
from tokenmeter.flow.watch.state import Columns

YOUNG_GAIN = 3.0


def dispersion(c: Columns) -> Floats:
    """φ (rows), with the level's own uncertainty."""
    found = c.spread / at_least(c.spread_weight, 1e-6)
    at_most(at_least(found, settings.DISPERSION_MIN, out=found), settings.DISPERSION_MAX, out=found)
    found += 1 / (c.level_sum + 1)
    return found


def hour_dispersion(c: Columns) -> Floats:
    """φₕ (rows): the same of whole hours. φ / buckets an hour when buckets are independent, more when they are not."""
    found = c.hour_spread / np.maximum(c.hour_weight, 1e-6)
    return np.clip(found, 1e-4, settings.DISPERSION_MAX, out=found)


def forgetting(age: Ints, discount: float) -> Floats | float:
    """What is kept of the sums (rows): while young the share 3 / age is lost, as early errors are those of learning."""
    if int(age.min(initial=0)) * (1 - discount) > YOUNG_GAIN:
        return discount
    kept: Floats = np.minimum(1 - YOUNG_GAIN / (age.astype(np.float32) + np.float32(YOUNG_GAIN)), np.float32(discount))
    return kept


def deviations(y: Floats, mean: Floats, phi: Floats) -> Floats:
    """z (rows)."""
    phi = at_most(phi, settings.RESIDUAL_DISPERSION_MAX)
    a = (y + 0.375) * phi
    b = (mean + 0.375) * phi
    ratio = (np.sqrt(a) + np.sqrt(a + 1)) / (np.sqrt(b) + np.sqrt(b + 1))
    z: Floats = 2 / np.sqrt(phi) * log(ratio)
    return z


def learn(c: Columns, y: Floats, mean: Floats, keep: Floats | float) -> None:
    """Fold one bucket; ``y`` is cut beforehand, so that an anomaly teaches little."""
    off = y - mean
    c.spread *= keep
    c.spread += off * off - mean
    c.spread_weight *= keep
    c.spread_weight += mean * mean


def learn_hour(c: Columns, mean: Floats, keep: Floats | float) -> None:
    """Fold an hour's sum; ``mean`` (rows) is what was expected of the hour."""
    off = c.hour_y - mean
    c.hour_spread *= keep
    c.hour_spread += off * off - mean
    c.hour_weight *= keep
    c.hour_weight += mean * mean
