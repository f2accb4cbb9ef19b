"""The tail of each subject's own residuals turns a residual into −log10 p.

t is a streaming 98 % quantile of z, β the mean excess of the last TAIL_MEMORY exceedances. Beyond t the tail is
exponential in z, which is a power law in the value: p = 0.02 · exp(−(z − t)/β). No tail is thought lighter than the
normal one. A run counts too: the sum of three scores, each exponential, against a single one.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Floats, at_least, at_most
from tokenmeter.flow.watch.state import Columns

RUN = 0.57735
"""√3 × the mean of three scores = (sum of the three) × this."""
QUANTILE_GAIN = 0.5
CURVE = 0.06
"""Of the normal distribution beyond its 98 % quantile: x + 0.06 x² (0 would be an exponential tail)."""


def start(c: Columns) -> None:
    c.tail_start[:] = settings.TAIL_START_MIN
    c.tail_excess[:] = settings.TAIL_EXCESS_PRIOR
    c.tail_count[:] = settings.TAIL_PRIOR_COUNT


def score(c: Columns, z: Floats, over: Floats) -> Floats:
    """−log10 p of z (rows), the run of three included; remembers it for the next two. ``over`` is z − t."""
    x = over / c.tail_excess
    beyond = (x + CURVE * x * np.abs(x)) * (1 / LN_10)
    one = np.where(beyond > 0, settings.TAIL_SCORE + beyond, at_least(z / c.tail_start, 0) * settings.TAIL_SCORE)
    run = (one + c.score_1 + c.score_2) * RUN
    c.score_2[:] = c.score_1
    c.score_1[:] = one
    return np.maximum(one, run)


def learn(c: Columns, over: Floats, calm: Floats) -> None:
    """Fold one bucket's z − t of the rows in ``calm`` (1 or 0)."""
    exceeds = (over > 0).astype(np.float32) * calm
    step = c.tail_excess * np.float32(QUANTILE_GAIN * settings.TAIL_SHARE)
    c.tail_count += exceeds
    weight = exceeds / at_most(c.tail_count, settings.TAIL_MEMORY)
    c.tail_excess += weight * (np.minimum(over, settings.TAIL_EXCESS_CUT * c.tail_excess) - c.tail_excess)
    at_least(c.tail_excess, settings.TAIL_EXCESS_MIN, out=c.tail_excess)
    c.tail_start += step * (exceeds - settings.TAIL_SHARE * calm)
    at_least(c.tail_start, settings.TAIL_START_MIN, out=c.tail_start)
