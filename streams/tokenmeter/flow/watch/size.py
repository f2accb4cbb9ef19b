"""Values in typical calls: a sum of heavy-tailed calls becomes nearly a Poisson count.

u = Σx² / Σx over the calls x of a subject (tokens or charge a call, discounted with SIZE_DAYS), the size-biased mean
call. y = v / u for a bucket's value v: its variance is about its mean, and one ordinary large call is y = 1 or 2.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch.exact import Floats
from tokenmeter.flow.watch.state import Columns


def typical(c: Columns) -> Floats:
    """u (rows), value units a call; 1 before there was any."""
    known = c.size_sum > 0
    return np.where(known, c.size_squares / np.where(known, c.size_sum, 1), 1).astype(np.float32)


def price(c: Columns) -> Floats:
    """Currency per value unit (rows); 0 when nothing was paid."""
    return c.paid / np.maximum(c.size_sum, 1e-20)


def learn(c: Columns, value: Floats, squares: Floats, paid: Floats, discount: float) -> None:
    """Fold one bucket: Σ value, Σ of each call's value², Σ currency (rows each)."""
    c.size_sum *= discount
    c.size_sum += value
    c.size_squares *= discount
    c.size_squares += squares
    c.paid *= discount
    c.paid += paid
