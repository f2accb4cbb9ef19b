"""The standard profile of the Numenta Anomaly Benchmark's score, of alarms that are yes or no.

An alarm in a labelled window is worth up to 1, the earlier the more, the best one of a window counts; a window without
one costs 1; an alarm outside costs up to 0.11, less just behind a window. 100 is every window at its first row, 0 is no
alarm at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM = 0.11
PROBATION_SHARE, PROBATION_ROWS = 0.15, 750
EPISODE_HOURS = 3
"""False alarms closer than this are one episode."""

Windows = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Result:
    points: float
    windows: int
    found: int
    false_rows: int
    episodes: int

    @property
    def score(self) -> float:
        return 100 * (self.points + self.windows) / (2 * self.windows)

    def __add__(self, other: Result) -> Result:
        names = ("points", "windows", "found", "false_rows", "episodes")
        return Result(*(getattr(self, name) + getattr(other, name) for name in names))


def _worth(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


def judge(alarms: NDArray[np.bool_], windows: Windows, rows_hour: int) -> Result:
    """One series: ``alarms`` (rows) against its windows [first, last], behind the probation."""
    start = min(int(PROBATION_SHARE * len(alarms)), PROBATION_ROWS)
    points, found, false_rows, episodes, last = 0.0, 0, 0, 0, -(10**9)
    rows = [int(i) for i in np.flatnonzero(alarms) if i >= start]
    for a, b in windows:
        inside = [i for i in rows if a <= i <= b]
        width = b - a + 1
        points += max((_worth(-(b - i + 1) / width) / _worth(-1) for i in inside), default=-1)
        found += bool(inside)
    for i in rows:
        if any(a <= i <= b for a, b in windows):
            continue
        before = [(a, b) for a, b in windows if b < i]
        if before:
            a, b = max(before)
            distance = (i - b) / (b - a)
            points += FALSE_ALARM * (-1 if distance > 3 else _worth(distance))
        else:
            points -= FALSE_ALARM
        false_rows += 1
        episodes += i - last > EPISODE_HOURS * rows_hour
        last = i
    return Result(points, len(windows), found, false_rows, episodes)
