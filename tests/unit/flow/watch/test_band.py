"""The band of a habit is what the detector holds a minute against, and an alert carries it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.watched import TOKENS_CALL, World, billing
from tokenmeter.flow.watch.band import HOURS_AFTER, HOURS_BEFORE, Band, band, hours_about, of_newcomer
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Form, Kind, Measure, Settings
from tokenmeter.flow.watch.state import BLOCK_ROWS

BEGIN_S = 20_605 * 86400
DAYS, CALLS = 5, 60
FIRST = 20_605 * 1440
ONE = np.ones(1)


def learned(measure: Measure | None = None, exposure: float | None = None) -> Detector:
    """A key of 60 calls a minute by day and 20 by night."""
    detector, rng = Detector(Settings(), measure), np.random.default_rng(3)
    detector.add(np.array([-1]))
    for minute in range(DAYS * 1440):
        mean = CALLS if minute % 1440 >= 720 else CALLS / 3
        value = rng.poisson(mean, 1).astype(np.float64)
        detector.step(FIRST + minute, Bucket(value, exposure=None if exposure is None else ONE * exposure))
    return detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return learned()


def tells(detector: Detector, bucket: int, value: float) -> bool:
    """Whether a copy of the detector would find a spike in ``value``."""
    other = Detector(detector.plan.settings, detector.plan.measure)
    other.add(np.array([-1]))
    other.restore(np.zeros(1, np.int64), detector.records(np.zeros(1, np.int64)).tobytes())
    other.next_bucket = bucket
    return bool(len(other.step(bucket, Bucket(ONE * value))))


def test_above_the_band_is_a_spike_and_below_is_none(detector: Detector) -> None:
    bucket = FIRST + DAYS * 1440
    high = float(band(detector, 0, np.array([bucket]), ONE).high[0])
    assert CALLS / 3 < high < 3 * CALLS
    assert tells(detector, bucket, high * 1.02) and not tells(detector, bucket, high * 0.98)


def test_each_hour_has_its_own_figures_and_low_is_under_high(detector: Detector) -> None:
    first, found = hours_about(detector, 0, FIRST + DAYS * 1440 - 1, 0.0)
    hour = (FIRST + DAYS * 1440 - 1) // 60
    assert first == hour - HOURS_BEFORE and len(found.expected) == HOURS_BEFORE + 1 + HOURS_AFTER
    night = (first + np.arange(len(found.expected))) % 24 < 12
    assert np.median(found.expected[night]) == pytest.approx(CALLS / 3, rel=0.15)
    assert np.median(found.expected[~night]) == pytest.approx(CALLS, rel=0.15)
    assert (found.low < found.expected).all() and (found.expected < found.high).all() and (found.low >= 0).all()


def test_a_row_of_a_later_block_has_its_own_band(detector: Detector) -> None:
    many = Detector()
    many.add(np.full(BLOCK_ROWS + 2, -1))
    row = np.array([BLOCK_ROWS + 1])
    many.restore(row, detector.records(np.zeros(1, np.int64)).tobytes())
    at = np.array([FIRST])
    assert band(many, int(row[0]), at, ONE).high == band(detector, 0, at, ONE).high
    assert band(many, 0, at, ONE).high != band(detector, 0, at, ONE).high


def test_what_has_an_exposure_is_told_of_one_unit_of_it() -> None:
    errors = learned(Measure("errors", Form.RATIO, falls=False), exposure=1000.0)
    _, found = hours_about(errors, 0, FIRST + DAYS * 1440, 1000.0)
    assert np.median(found.expected) == pytest.approx(CALLS * 2 / 3 / 1000, rel=0.5)
    _, of_ten = hours_about(errors, 0, FIRST + DAYS * 1440, 10.0)
    assert (of_ten.high > found.high).all(), "ten calls may all be unlucky"
    loss = Detector(measure=Measure("loss", Form.LOSS))
    loss.add(np.array([-1]))
    _, of_loss = hours_about(loss, 0, FIRST, 0.0)
    assert (of_loss.expected == 0).all() and of_loss.high == pytest.approx(0.01)


def test_of_a_new_subject_nothing_is_expected_and_high_is_what_is_rare_for_new_ones() -> None:
    def opened(spend: float) -> np.ndarray[Any, Any]:
        detector = Detector(Settings())
        detector.add(np.array([-1]))
        found = detector.step(FIRST, Bucket(ONE * spend, paid=ONE * spend))
        return found[found["told"] == Told.OPENED]

    (told,) = opened(5_000.0)
    assert told["kind"] == Kind.NEWCOMER
    detector = Detector(Settings())
    first, found = of_newcomer(detector, FIRST, float(told["seen"]), float(told["score"]))
    assert first == FIRST // 60 - HOURS_BEFORE and len(found.high) == HOURS_BEFORE + 1 + HOURS_AFTER
    assert not found.expected.any() and not found.low.any()
    (high,) = set(found.high.tolist())
    assert 100 < high < 5_000
    assert len(opened(high * 1.02)) and not len(opened(high * 0.98))


def test_an_alert_carries_the_band_of_its_subject_and_its_end_none() -> None:
    chance = np.random.default_rng(1)
    world = World(Settings(), begin_s=BEGIN_S)
    for minute in range(2 * 1440):
        at_s = BEGIN_S + minute * 60
        many = 40 if 2760 <= minute < 2763 else 1
        world.write(at_s, [billing(at_s, "acme", "key", int(chance.poisson(CALLS)) * many)])
    world.owner().page(world.end())
    opened, closed = world.alerts()
    hour = BEGIN_S // 3600 + 46
    assert opened["band_begins_at"].timestamp() == (hour - HOURS_BEFORE) * 3600
    here = Band(*(np.array(opened[f"band_{side}"])[HOURS_BEFORE] for side in ("low", "expected", "high")))
    assert 0 <= here.low < here.expected < here.high < float(opened["seen"])
    assert here.expected == pytest.approx(CALLS * TOKENS_CALL, rel=0.2)
    assert all(float(f"{value:.6g}") == value for value in opened["band_high"]), "no last bit of a library"
    assert closed["band_begins_at"] is None and closed["band_low"] == []
