"""Values in typical calls: a sum of heavy-tailed calls becomes nearly a Poisson count.

u = Σx² / Σx over the calls x of a subject (tokens or charge a call, discounted with SIZE_DAYS), the size-biased mean
call. y = v / u for a bucket's value v: its variance is about its mean, and one ordinary large call is y = 1 or 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.exact import Floats, at_least
from tokenmeter.flow.watch.state import Columns

SMALLEST = np.float32(1.2e-38)
"""A sum that is not 0 is no smaller, but for a subject that has been silent for years."""


def unknown(c: Columns) -> NDArray[np.intp]:
    """The subjects that never had a value."""
    return np.flatnonzero(c.size_sum <= 0)


def typical(c: Columns, new: NDArray[np.intp], value: Floats, squares: Floats) -> Floats:
    """u (rows), value units a call; of a subject in ``new`` that of this bucket; 1 without any at all."""
    found: Floats = c.size_squares / at_least(c.size_sum, float(SMALLEST))
    if len(new):
        total = value[new]
        found[new] = np.where(total > 0, squares[new], 1) / np.where(total > 0, total, 1)
    return found


def price(c: Columns, rows: NDArray[np.intp], value: Floats, paid: Floats) -> Floats:
    """Currency per value unit of ``rows``; of one that never had a value that of this bucket; 0 if nothing was paid."""
    total, spent = c.size_sum[rows], c.paid[rows]
    new = total <= 0
    total, spent = np.where(new, value[rows], total), np.where(new, paid[rows], spent)
    found: Floats = np.where(total > 0, spent, 0) / np.maximum(total, SMALLEST)
    return found


def learn(c: Columns, value: Floats, squares: Floats, paid: Floats, discount: float) -> None:
    """Fold one bucket: Σ value, Σ of each call's value², Σ currency (rows each)."""
    c.size_sum *= discount
    c.size_sum += value
    c.size_squares *= discount
    c.size_squares += squares
    c.paid *= discount
    c.paid += paid
