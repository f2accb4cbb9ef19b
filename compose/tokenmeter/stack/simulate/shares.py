"""Divides whole numbers: parts in proportion to weights, whose sum is what was divided, to the last token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


def divide(total: int, weights: Real) -> Whole:
    """``total`` in proportion to ``weights``. What rounding leaves goes to the largest, one each."""
    parts = divide_each(np.array([total], np.int64), np.zeros(len(weights), np.int64), weights)
    assert int(parts.sum()) == total
    return parts


def divide_each(totals: Whole, group: Whole, weights: Real) -> Whole:
    """``totals[g]`` among the weights whose ``group`` is g; a group without weight must have nothing to divide."""
    sums = np.bincount(group, weights, len(totals))
    scale = np.divide(totals, sums, out=np.zeros(len(totals)), where=sums > 0)
    parts = np.floor(weights * scale[group]).astype(np.int64)
    given = np.zeros(len(totals), np.int64)
    np.add.at(given, group, parts)
    left = totals - given
    # Rank within the group, the largest first: a token less or more is least seen there.
    order = np.lexsort((-weights, group))
    rank = np.empty(len(weights), np.int64)
    rank[order] = np.arange(len(weights)) - np.searchsorted(group[order], group[order], "left")
    sizes = np.bincount(group, minlength=len(totals))
    each, more = np.divmod(left, np.maximum(sizes, 1))
    return np.asarray(parts + each[group] + (rank < more[group]), np.int64)
