"""Detectors of river, a library for learning from streams, beside the watch: each with its usual settings.

Not part of dev: `make bench-watch` installs it. It is imported where it is used: its size is not the watch's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
PROBATION_DAYS = 2
"""Alarms of a detector's first days are not counted against it."""
QUANTILE = 0.9999
DEVIATIONS = 5.0


def half_space_trees(value: Doubles, rows_hour: int) -> Flags:
    """Trees over a day's window, told over the 99.99 % quantile of their own scores."""
    from river import anomaly, preprocessing

    trees = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(window_size=24 * rows_hour, seed=1)
    told = anomaly.QuantileFilter(trees, q=QUANTILE)
    flags = np.zeros(len(value), bool)
    for i, now in enumerate(value.tolist()):
        seen = {"value": now}
        flags[i] = told.classify(told.score_one(seen))
        told.learn_one(seen)
    return _after_probation(flags, rows_hour)


def holt_winters(value: Doubles, rows_hour: int) -> Flags:
    """A forecast with a season of a day, told where it is five deviations off."""
    from river import anomaly, time_series

    season = 24 * rows_hour
    forecast = time_series.HoltWinters(alpha=0.1, beta=0.01, gamma=0.1, seasonality=season)
    detector = anomaly.PredictiveAnomalyDetection(forecast, n_std=DEVIATIONS, warmup_period=season * PROBATION_DAYS)
    flags = np.zeros(len(value), bool)
    for i, now in enumerate(value.tolist()):
        flags[i] = i >= season * PROBATION_DAYS and detector.score_one(None, now) >= 1
        detector.learn_one(None, now)
    return flags


def adwin(value: Doubles, rows_hour: int) -> Flags:
    """A window that shrinks where its halves differ: told where it does."""
    from river import drift

    detector = drift.ADWIN()
    flags = np.zeros(len(value), bool)
    for i, now in enumerate(value.tolist()):
        detector.update(now)
        flags[i] = detector.drift_detected
    return _after_probation(flags, rows_hour)


def _after_probation(flags: Flags, rows_hour: int) -> Flags:
    flags[: PROBATION_DAYS * 24 * rows_hour] = False
    return flags


LIBRARY: dict[str, Callable[[Doubles, int], Flags]] = (
    {}
    if find_spec("river") is None
    else {
        "river, half-space trees": half_space_trees,
        "river, Holt-Winters": holt_winters,
        "river, ADWIN": adwin,
    }
)
