"""Clean months of many keys, made minute by minute: over-dispersed calls with seasons, births, deaths, a backfill,
summer time.

Volumes are log-normal over the keys; a quarter keeps office hours, half follows day and week, the rest is flat; each
key has a dispersion of its own and wanders by the hour. Half of the keys are there from the start, others are born and
die.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
MINUTES_DAY = 1440
START = 20_600 * MINUTES_DAY
"""The first minute since 1970."""


@dataclass(frozen=True)
class Minute:
    bucket: int
    calls: Doubles
    late: NDArray[np.bool_]


class Traffic:
    """``calls`` of a key are negative binomial with mean volume × season × wander, and cost ``price`` each."""

    def __init__(self, keys: int, days: int, seed: int = 7, bucket_s: int = 60) -> None:
        self.keys, self.days, self.bucket_s = keys, days, bucket_s
        self.rng = rng = np.random.default_rng(seed)
        self.hourly = 3600 // bucket_s
        self.volume = rng.lognormal(-0.7, 1.6, keys) * bucket_s / 60
        self.price = rng.lognormal(-5.5, 1.2, keys)
        self.phi = rng.lognormal(-1.8, 0.8, keys)
        self.size = rng.uniform(0.02, 0.25, keys)
        self.group = rng.integers(0, 8, keys)
        self.zone = rng.integers(0, 24, keys)
        kind = rng.random(keys)
        self.office, self.flat = kind < 0.25, kind > 0.75
        self.depth = np.where(self.flat, 0, rng.uniform(0.3, 1.2, keys))
        self.weekend = np.where(self.flat, 1, rng.uniform(0.2, 1, keys))
        self.summer = rng.random(keys) < 0.5
        born = rng.random(keys)
        self.born = np.where(born < 0.8, 0, (born - 0.8) / 0.2 * days * 24).astype(np.int64)
        # A key that ends fades over two days, as a key that is replaced does.
        self.dead = np.where(rng.random(keys) < 0.1, rng.uniform(0.3, 1, keys) * days * 24, np.inf)
        self.wander = rng.standard_normal(keys)
        self.backfill = (rng.random(keys) < 0.05) * rng.integers(24, days * 24, keys)

    def rate(self, hour: int) -> Doubles:
        """Expected calls a bucket (keys) in an hour since the start; summer time moves half of the keys midway."""
        local = hour + self.zone + (self.summer & (hour >= self.days * 12))
        day, of_day = (local // 24) % 7, local % 24
        shape = np.exp(self.depth * np.cos(2 * np.pi * (of_day - 14) / 24))
        shape *= np.where(day >= 5, self.weekend, 1)
        open_hours = (of_day >= 9) & (of_day < 18) & (day < 5)
        shape = np.where(self.office, np.where(open_hours, 2.5, 0.02), shape)
        self.wander = 0.8 * self.wander + 0.6 * self.rng.standard_normal(self.keys)
        shape *= np.exp(self.size * self.wander)
        alive = np.clip((self.dead - hour) / 48, 0, 1)
        return self.volume * shape * alive * (hour >= self.born)

    def minutes(self) -> Iterator[Minute]:
        start = START * 60 // self.bucket_s
        for hour in range(self.days * 24):
            rate = self.rate(hour)
            late = self.backfill == hour
            rate = np.where(late & (hour > 0), rate * 8, rate)
            for i in range(self.hourly):
                mean = rate * self.rng.standard_gamma(1 / self.phi) * self.phi
                yield Minute(start + hour * self.hourly + i, self.rng.poisson(mean).astype(np.float64), late)
