"""Simulated streams on which the watch's constants were chosen: counts of habits unlike each other, with labelled
anomalies.

Nothing here was fitted to the labelled series of the bench: the kinds are what usage does (people by day and week, jobs
by the hour, agents in bursts, sparse keys, heavy-tailed crowds), their figures are drawn at random from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Streams:
    """``value`` (buckets, streams) and each stream's labelled windows [first, last]."""

    value: Doubles
    windows: list[list[tuple[int, int]]]


def daily(rng: np.random.Generator, buckets: int, per_day: int, streams: int) -> Doubles:
    """Factor by hour of day and day of week (buckets, streams), mean about 1; from flat to office hours."""
    t = np.arange(buckets)[:, None] / per_day
    depth = rng.uniform(0, 1.5, streams)
    phase = rng.uniform(0, 1, streams)
    weekend = np.where(rng.random(streams) < 0.5, rng.uniform(0.2, 1, streams), 1)
    shape = np.exp(depth * (np.cos(2 * np.pi * (t - phase)) + 0.3 * np.cos(4 * np.pi * (t - phase))))
    shape *= np.where((np.floor(t) % 7) >= 5, weekend, 1)
    return shape / shape.mean(0)


def slow_noise(
    rng: np.random.Generator, buckets: int, streams: int, hours: Doubles, size: Doubles, per_hour: int
) -> Doubles:
    """A log-normal factor that wanders with a memory of ``hours`` (AR(1) in logarithms)."""
    keep = np.exp(-1 / (hours * per_hour))
    noise = rng.standard_normal((buckets, streams)) * np.sqrt(1 - keep**2)
    noise[0] = rng.standard_normal(streams)
    for i in range(1, buckets):
        noise[i] += keep * noise[i - 1]
    return np.exp(noise * size - size**2 / 2)


def bursts(
    rng: np.random.Generator, buckets: int, streams: int, per_day: int, a_day: Doubles, shape: Doubles
) -> Doubles:
    """Crowds: each begins at once, is Pareto in height (in means of the stream) and dies away in minutes to hours."""
    found = np.zeros((buckets, streams))
    for j in range(streams):
        for start in np.flatnonzero(rng.random(buckets) < a_day[j] / per_day):
            height = min((rng.pareto(shape[j]) + 1) * 0.7, 15)
            life = max(1, int(rng.exponential(per_day / 24 * 0.5)))
            n = min(4 * life, buckets - start)
            found[start : start + n, j] += height * np.exp(-np.arange(n) / life)
    return found


def habits(rng: np.random.Generator, days: int, per_day: int, streams: int) -> Doubles:
    """Expected counts (buckets, streams) of an ordinary month."""
    n = days * per_day
    mean = rng.lognormal(2.5, 1.3, streams)
    calm = rng.random(streams) < 0.5
    wander = slow_noise(rng, n, streams, rng.uniform(0.5, 12, streams), rng.uniform(0.05, 0.5, streams), per_day // 24)
    crowd = bursts(
        rng, n, streams, per_day, np.where(calm, 0, rng.uniform(0.3, 6, streams)), rng.uniform(1.5, 3, streams)
    )
    return mean * daily(rng, n, per_day, streams) * (wander + crowd)


def counts(rng: np.random.Generator, mean: Doubles, phi: Doubles) -> Doubles:
    """Negative binomial counts of ``mean`` (buckets, streams) with dispersion ``phi`` (streams)."""
    return rng.poisson(mean * rng.gamma(1 / phi, phi, mean.shape)).astype(np.float64)


def labelled(seed: int, streams: int = 60, days: int = 30, per_day: int = 288) -> Streams:
    """Months with one to three anomalies each: a crowd never seen, a level, a ramp, a burst of bursts, a silence."""
    rng = np.random.default_rng(seed)
    mean = habits(rng, days, per_day, streams)
    n = len(mean)
    windows: list[list[tuple[int, int]]] = []
    top = np.quantile(mean, 0.999, axis=0)
    for j in range(streams):
        found: list[tuple[int, int]] = []
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(int(n * 0.2), int(n * 0.95)))
            length = int(rng.integers(1, per_day // 3))
            here = slice(at, at + length)
            m = len(mean[here, j])
            kind = rng.integers(0, 4)
            if kind == 0:
                mean[at : at + max(1, length // 8), j] += top[j] * rng.uniform(1.5, 6)
            elif kind == 1:
                mean[here, j] = mean[here, j] * rng.uniform(2, 4) + top[j] * 0.3
            elif kind == 2:
                mean[here, j] += top[j] * np.linspace(0, rng.uniform(1, 3), m)
            else:
                mean[here, j] += top[j] * rng.uniform(0.8, 2) * (rng.random(m) < 0.4)
            half = n // 40
            window = (max(at - half, int(n * 0.15)), min(at + half, n - 1))
            if all(window[0] > b + 1 or window[1] < a - 1 for a, b in found):
                found.append(window)
            else:  # within another's: one label for both
                near = next(w for w in found if window[0] <= w[1] + 1 and window[1] >= w[0] - 1)
                found.remove(near)
                found.append((min(near[0], window[0]), max(near[1], window[1])))
        windows.append(sorted(_merged(found)))
    return Streams(counts(rng, mean, rng.uniform(0.01, 0.3, streams)), windows)


def _merged(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for window in sorted(windows):
        if merged and window[0] <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], window[1]))
        else:
            merged.append(window)
    return merged
