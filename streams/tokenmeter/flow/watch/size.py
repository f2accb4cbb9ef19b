"""Values in typical calls: a sum of heavy-tailed calls becomes nearly a Poisson count.

u = Σx² / Σx over the calls x of a subject (tokens or charge a call, discounted with SIZE_DAYS), the size-biased mean
call. y = v / u for a bucket's value v: its variance is about its mean, and one ordinary large call is y = 1 or 2.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch.exact import Floats
from tokenmeter.flow.watch.state import Columns


def typical(c: Columns, value: Floats, squares: Floats) -> Floats:
    """u (rows), value units a call; of a subject without any before, that of this bucket; 1 without any at all."""
    known = c.size_sum > 0
    if known.all():
        return c.size_squares / c.size_sum
    total, squared = np.where(known, c.size_sum, value), np.where(known, c.size_squares, squares)
    found: Floats = np.where(total > 0, squared, 1) / np.where(total > 0, total, 1)
    return found


def price(c: Columns, value: Floats, paid: Floats) -> Floats:
    """Currency per value unit (rows), of a subject without any before that of this bucket; 0 when nothing was paid."""
    known = c.size_sum > 0
    if known.all():
        return c.paid / c.size_sum
    found: Floats = np.where(known, c.paid, paid) / np.maximum(np.where(known, c.size_sum, value), np.float32(1e-20))
    return found


def learn(c: Columns, value: Floats, squares: Floats, paid: Floats, discount: float) -> None:
    """Fold one bucket: Σ value, Σ of each call's value², Σ currency (rows each)."""
    c.size_sum *= discount
    c.size_sum += value
    c.size_squares *= discount
    c.size_squares += squares
    c.paid *= discount
    c.paid += paid
