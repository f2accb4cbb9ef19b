"""A level that rises by half is found within two days, against weeks; who is not known is doubted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import drift, level, settings
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Sensitivity, Settings
from tokenmeter.flow.watch.state import Block

Doubles = NDArray[np.float64]
BUCKET_S = 900
HOUR = 3600 // BUCKET_S
DAY = 24 * HOUR
START = 20_605 * DAY
HOURS = 40 * 24
N = 60
"""Buckets an hour."""


def score_of_a_shift(ratio: float, long_days: float = drift.LONG_DAYS) -> float:
    """The highest score within two days after 40 days of 10 calls a bucket, which stray by a twentieth an hour."""
    rng, block = np.random.default_rng(4), Block()
    c = block.extend(1)
    drift.start(c)
    best, one = 0.0, np.ones(1, np.float32)
    for hour in range(HOURS + 48):
        c.age[:] = hour * N
        c.hour_y[:] = N * 10 * (1 + 0.05 * rng.standard_normal()) * (ratio if hour >= HOURS else 1)
        drift.learn_hour(c, one, N, np.array([min(hour, int(long_days * 24))], np.int32))
        if hour % 24 == 23:
            drift.learn_day(c, c.age // (24 * N))
        if hour >= HOURS:
            best = max(best, float(drift.score(c, c.age, 24 * N)[0]))
    return best


def test_half_as_much_again_is_found_within_two_days() -> None:
    assert score_of_a_shift(1.5) > Settings(60, Sensitivity.NORMAL).score


def test_a_subject_that_strays_as_ever_scores_nothing() -> None:
    assert score_of_a_shift(1.0) == 0


def test_control_against_a_level_that_follows_within_hours_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "LONG_DAYS", 0.25)
    assert score_of_a_shift(1.5, 0.25) < Settings(60, Sensitivity.NORMAL).score


def told(value: Doubles, sensitivity: Sensitivity = Sensitivity.NORMAL) -> NDArray[np.void]:
    """The alerts opened, buckets counted from 0."""
    detector = Detector(Settings(BUCKET_S, sensitivity))
    detector.add(np.full(value.shape[1], -1))
    found = np.concatenate([detector.step(START + i, Bucket(now, paid=now * 0.1)) for i, now in enumerate(value)])
    found["bucket"] -= START
    return found[found["told"] == Told.OPENED]


def test_a_drift_begins_anew_when_it_is_the_new_normal() -> None:
    detector = Detector(Settings(BUCKET_S))
    detector.add(np.array([-1]))
    c = detector.blocks[0].columns
    c.drift[:], c.level_long[:], c.recent_sum[:], c.recent_weight[:] = 0.5, 10, 60, 4
    level.accept(c, np.array([0]))
    assert (c.drift[0], c.level_long[0]) == (0, 15)


def offices() -> Doubles:
    """Office hours from Monday to Friday."""
    hours = np.arange(22 * DAY) / HOUR
    is_open = (hours % 24 >= 9) & (hours % 24 < 17) & ((hours // 24).astype(int) % 7 < 5)
    rng = np.random.default_rng(8)
    return rng.poisson(np.where(is_open, 60.0, 0.6)[:, None] * np.ones(10)).astype(np.float64)


def test_the_first_weeks_of_an_office_are_not_told_but_its_leak_is() -> None:
    value = offices()
    value[16 * DAY + 10 * HOUR, 0] *= 100
    found = told(value, Sensitivity.LOW)
    assert [(int(one["row"]), int(one["bucket"])) for one in found] == [(0, 16 * DAY + 10 * HOUR)]


def test_control_without_doubt_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DOUBT_SHARE", 1.0)
    monkeypatch.setattr(settings, "WEEK_ALLOWANCE", 1.0)
    assert len(told(offices(), Sensitivity.NORMAL)) > 0
