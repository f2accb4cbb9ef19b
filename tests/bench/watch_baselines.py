"""What the watch is measured against: three usual detectors, each alarm told once an episode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


def windowed_gaussian(value: Doubles, rows_hour: int) -> Flags:
    """Over five deviations above or below the mean of the last three days."""
    n = 72 * rows_hour
    sums, squares = np.cumsum(value, axis=0), np.cumsum(value**2, axis=0)
    mean, square = np.zeros_like(value), np.zeros_like(value)
    mean[n:], square[n:] = (sums[n - 1 : -1] - _before(sums, n)) / n, (squares[n - 1 : -1] - _before(squares, n)) / n
    spread = np.sqrt(np.maximum(square - mean**2, 1e-9))
    flags = np.abs(value - mean) > 5 * np.maximum(spread, 1e-3)
    flags[:n] = False
    return flags


def _before(sums: Doubles, n: int) -> Doubles:
    return np.concatenate([np.zeros_like(sums[:1]), sums[: -n - 1]])


def day_over_day(value: Doubles, rows_hour: int) -> Flags:
    """The last hour is twice the same hour of yesterday, and over the mean."""
    n = 24 * rows_hour
    sums = np.cumsum(value, axis=0)
    hour = sums.copy()
    hour[rows_hour:] -= sums[:-rows_hour]
    flags = np.zeros(value.shape, bool)
    mean = sums / np.arange(1, len(value) + 1).reshape(-1, *[1] * (value.ndim - 1)) * rows_hour
    flags[n:] = (hour[n:] > 2 * hour[:-n]) & (hour[n:] > mean[n:])
    return flags


def ewma_z(value: Doubles, rows_hour: int) -> Flags:
    """Over five deviations from a moving mean with a memory of a day."""
    keep = 1 - 1 / (24 * rows_hour)
    flags = np.zeros(value.shape, bool)
    mean, square = np.array(value[0], dtype=float), np.ones_like(value[0])
    for i, now in enumerate(value):
        off = now - mean
        flags[i] = (np.abs(off) > 5 * np.sqrt(square)) & (i > 24 * rows_hour)
        mean = mean * keep + now * (1 - keep)
        square = square * keep + np.minimum(off**2, 25 * square + 1) * (1 - keep)
    return flags


BASELINES: dict[str, Callable[[Doubles, int], Flags]] = {
    "windowed Gaussian": windowed_gaussian,
    "day over day × 2": day_over_day,
    "EWMA z": ewma_z,
}


def told_once(flags: Flags, quiet_rows: int) -> Flags:
    """The first row of each episode; one ends after ``quiet_rows`` without a flag, as the watch's do."""
    told = np.zeros_like(flags)
    last = np.full(flags.shape[1:], -(10**9))
    for i, now in enumerate(flags):
        told[i] = now & (i - last > quiet_rows)
        last = np.where(now, i, last)
    return told
