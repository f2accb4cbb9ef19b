"""The first day of a subject, before it has a habit: judged by what newcomers of the population do in a bucket.

A newcomer's spend of one bucket, x = ln(currency), has a tail over t (98 % quantile) with mean excess β: a Pareto tail
of exponent 1/β. score = 1.70 + (x − t) / (2.303·β), so the first minute can fire. t and β are learned over all
newcomers from NEWCOMER_START and NEWCOMER_EXCESS; what is over score 4 teaches no more than that.
"""

from __future__ import annotations

import math

import numpy as np

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import LN_10, Doubles, Floats, log, total

MEMORY, PRIOR_COUNT = 2000.0, 50.0
CUT = 5.0
EXCESS_MIN = 0.3


class Newcomers:
    """Three figures: t, β and how many exceedances taught them."""

    def __init__(self) -> None:
        self.figures: Doubles = np.array([np.log(settings.NEWCOMER_START), settings.NEWCOMER_EXCESS, PRIOR_COUNT])

    def score(self, paid: Floats) -> Floats:
        """−log10 p (rows) of a bucket's spend; 0 for what cost nothing."""
        start, excess, _ = (np.float32(x) for x in self.figures)
        beyond = (log(np.maximum(paid, 1e-9).astype(np.float32)) - start) / (excess * np.float32(LN_10))
        found: Floats = np.maximum(settings.TAIL_SCORE + beyond, 0) * (paid > 0)
        return found

    def spend(self, score: float) -> float:
        """The spend of a bucket that has this score, which is over 1.70."""
        start, excess, _ = self.figures.tolist()
        return math.exp(start + (score - settings.TAIL_SCORE) * excess * LN_10)

    def learn(self, paid: Floats) -> None:
        """Fold what the newcomers spent in one bucket, in any order."""
        x = log(paid[paid > 0])
        if not len(x):
            return
        start, excess, count = self.figures
        over = x[x > start] - np.float32(start)
        n = len(over)
        self.figures[2] = count + n
        memory = max(min(count + n, MEMORY), n)
        cut = np.minimum(over, np.float32(CUT * excess))
        self.figures[1] = max(excess + (total(cut) - n * excess) / memory, EXCESS_MIN)
        move = (n - settings.TAIL_SHARE * len(x)) / (settings.TAIL_SHARE * MEMORY)
        self.figures[0] = start + excess * min(max(move, -0.5), 0.5)
