"""A level that rises by half is told within two days though its subject's hours wander; who is not known is doubted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import drift, level, settings
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Kind, Sensitivity, Settings

Doubles = NDArray[np.float64]
BUCKET_S = 900
HOUR = 3600 // BUCKET_S
DAY = 24 * HOUR
START = 20_605 * DAY
SUBJECTS, DAYS, AT = 20, 34, 31 * DAY
WANDER, KEPT = 0.14, 0.8
"""A subject's hours stray by a seventh, and stay there for five."""


def wandering(seed: int = 4) -> Doubles:
    """Calls (buckets, subjects)."""
    rng = np.random.default_rng(seed)
    hours = np.zeros((DAYS * 24, SUBJECTS))
    for hour in range(1, len(hours)):
        hours[hour] = KEPT * hours[hour - 1] + 0.6 * rng.standard_normal(SUBJECTS)
    return rng.poisson(200 * np.exp(WANDER * np.repeat(hours, HOUR, axis=0))).astype(np.float64)


def told(value: Doubles, sensitivity: Sensitivity = Sensitivity.NORMAL) -> NDArray[np.void]:
    """The alerts opened, buckets counted from 0."""
    detector = Detector(Settings(BUCKET_S, sensitivity))
    detector.add(np.full(value.shape[1], -1))
    found = np.concatenate([detector.step(START + i, Bucket(now, paid=now * 0.1)) for i, now in enumerate(value)])
    found["bucket"] -= START
    return found[found["told"] == Told.OPENED]


def in_time(found: NDArray[np.void]) -> int:
    """How many subjects are told within two days of their shift."""
    rises = found[(found["bucket"] >= AT) & (found["bucket"] < AT + 2 * DAY) & (found["kind"] == Kind.BURN)]
    return len({*rises["row"].tolist()})


def shifted() -> NDArray[np.void]:
    value = wandering()
    value[AT:] = np.round(value[AT:] * 1.5)
    return told(value)


def test_half_as_much_again_is_told_within_two_days() -> None:
    found = shifted()
    assert in_time(found) >= 0.8 * SUBJECTS
    late = found[found["bucket"] >= AT + 12 * HOUR]
    assert len(late) and (late["expected"] < 260).all(), "what weeks have shown, not what two days have taught"


def test_wandering_alone_is_not_told() -> None:
    assert not np.isin(told(wandering())["kind"], (Kind.BURN, Kind.SPIKE)).any()


def test_control_without_the_mean_of_a_day_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "learn_hour", lambda *_: None)
    assert in_time(shifted()) < 0.8 * SUBJECTS


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
