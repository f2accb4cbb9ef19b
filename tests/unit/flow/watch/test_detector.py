"""The detector on hand-made series: each kind is found, a stable subject is not, and an alert is told once and ends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import tail
from tokenmeter.flow.watch.backtest import Series, backtest
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Form, Kind, Measure, Sensitivity, Settings

Doubles = NDArray[np.float64]
BUCKET_S = 900
DAY = 86400 // BUCKET_S
HOUR = DAY // 24
MONDAY = 20_605
"""Days since 1970 of a Monday, where the series begin."""
PRICE = 0.01


def noise(days: int, mean: float = 100.0, seed: int = 1, subjects: int = 1) -> Doubles:
    """Calls (buckets, subjects) of a subject that follows the day mildly."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * DAY)[:, None] / HOUR
    shape = np.exp(0.4 * np.cos(2 * np.pi * (hours - 14) / 24))
    size = (days * DAY, subjects)
    return rng.poisson(mean * shape * rng.gamma(50, 1 / 50, size)).astype(np.float64)


def alerts(
    value: Doubles,
    sensitivity: Sensitivity = Sensitivity.NORMAL,
    measure: Measure | None = None,
    group: int = -1,
    **columns: Doubles,
) -> NDArray[np.void]:
    """What is told of ``value`` (buckets, subjects), the bucket counted from 0; calls cost PRICE each."""
    detector = Detector(Settings(BUCKET_S, sensitivity), measure)
    detector.add(np.full(value.shape[1], group))
    start, told = MONDAY * DAY, []
    columns = {"paid": value * PRICE, **columns}
    for i, row in enumerate(value):
        told.append(detector.step(start + i, Bucket(row, **{name: column[i] for name, column in columns.items()})))
    found = np.concatenate(told)
    found["bucket"] -= start
    return found[found["told"] < Told.RECORDED]


def opened(found: NDArray[np.void], since: int = 0) -> NDArray[np.void]:
    return found[(found["told"] == Told.OPENED) & (found["bucket"] >= since)]


def test_sixty_stable_days_alert_nobody() -> None:  # A01
    assert len(alerts(noise(60, subjects=20))) == 0


def test_a_spike_alerts_in_its_own_bucket_with_what_was_expected_and_seen() -> None:
    value, at = noise(20), 19 * DAY + 3
    value[at] = 2000
    (first,) = opened(alerts(value))
    assert (first["bucket"], first["kind"]) == (at, Kind.SPIKE)
    assert first["seen"] == 2000 and 50 < first["expected"] < 200
    assert first["score"] >= Settings(BUCKET_S).score
    assert first["amount"] == pytest.approx((first["seen"] - first["expected"]) * PRICE, rel=0.02)


def test_a_figure_on_the_line_for_three_hours_is_one_alert() -> None:  # A01
    value, at = noise(30), 29 * DAY
    rng = np.random.default_rng(5)
    value[at : at + 3 * HOUR, 0] *= rng.choice([1.9, 3.2], 3 * HOUR)
    assert len(opened(alerts(value))) == 1


def test_an_alert_ends_and_says_so() -> None:
    value, at = noise(21), 19 * DAY
    value[at : at + 4] *= 6
    found = alerts(value)
    assert found["told"].tolist()[0] == Told.OPENED and found["told"].tolist()[-1] == Told.CLOSED
    assert at + 4 <= found["bucket"][-1] <= at + 4 + HOUR


def test_a_new_level_burns_and_becomes_the_new_normal() -> None:
    value, at = noise(24), 19 * DAY
    value[at:] *= 1.5
    found = alerts(value)
    assert len(opened(found)) == 1 and opened(found)["kind"][0] == Kind.BURN
    assert opened(found)["bucket"][0] - at <= 6 * HOUR
    assert Told.NEW_NORMAL in found["told"]


def test_silence_and_half_of_the_usual_are_told() -> None:
    value, at = noise(20, subjects=2), 19 * DAY
    value[at:, 0] = 0
    value[at:, 1] //= 2.5
    found = opened(alerts(value))
    assert dict(zip(found["row"].tolist(), found["kind"].tolist(), strict=True)) == {0: Kind.SILENCE, 1: Kind.DROP}
    assert found["bucket"].max() - at <= 12 * HOUR


def test_office_hours_are_habit_on_the_fourth_monday() -> None:  # A01
    value = noise(35)
    hours = np.arange(len(value)) // HOUR
    works = ((hours % 24) >= 9) & ((hours % 24) < 17) & ((hours // 24) % 7 < 5)
    value[~works] = 0
    found = alerts(value)
    assert len(opened(found, since=21 * DAY)) == 0


def test_five_times_the_usual_fires_after_a_year() -> None:  # A01
    rng = np.random.default_rng(2)
    detector = Detector(Settings(3600))
    detector.add(np.array([-1]))
    told = []
    for hour in range(366 * 24):
        calls = rng.poisson(1000.0 if hour < 365 * 24 else 5000.0)
        told.append(detector.step(MONDAY * 24 + hour, Bucket(np.array([float(calls)]), paid=np.array([calls * PRICE]))))
    found = opened(np.concatenate(told))
    assert found["bucket"].tolist() == [(MONDAY + 365) * 24]


def test_a_runaway_after_a_silent_week_fires() -> None:  # A02
    value = noise(32)
    value[21 * DAY : 28 * DAY] = 0
    value[28 * DAY : 29 * DAY] //= 10
    at = 30 * DAY + DAY // 2
    value[at : at + 2 * HOUR] = 5000
    found = alerts(value)
    runaway = found[(found["bucket"] >= at) & np.isin(found["told"], (Told.OPENED, Told.WORSE))]
    assert len(runaway) and runaway["bucket"][0] == at


def test_a_newcomer_that_spends_a_thousand_in_its_first_bucket_fires() -> None:  # A02
    detector = Detector(Settings(60))
    rng = np.random.default_rng(3)
    for i in range(120):  # a hundred newcomers an hour that spend a little teach the population
        detector.add(np.full(50, -1))
        paid = rng.lognormal(-4, 1, detector.rows)
        assert len(opened(detector.step(i, Bucket(paid * 100, paid=paid)))) == 0
    detector.add(np.array([-1]))
    paid = np.append(rng.lognormal(-4, 1, detector.rows - 1), 1000)
    (alert,) = opened(detector.step(120, Bucket(paid * 100, paid=paid)))
    assert (alert["row"], alert["kind"]) == (detector.rows - 1, Kind.NEWCOMER)


def test_without_any_newcomer_before_a_thousand_fires_as_well() -> None:
    detector = Detector(Settings(60))
    detector.add(np.array([-1, -1]))
    told = detector.step(0, Bucket(np.array([1000.0, 10.0]), paid=np.array([1000.0, 0.1])))
    assert opened(told)["row"].tolist() == [0]


def test_errors_surge_among_as_many_calls() -> None:
    calls = noise(20)
    errors = np.random.default_rng(4).binomial(calls.astype(int), 0.02).astype(np.float64)
    at = 19 * DAY
    errors[at:] = np.round(calls[at:] * 0.4)
    calls[at - DAY] *= 10  # many calls with their errors are no surge
    errors[at - DAY] *= 10
    measure = Measure("errors", Form.RATIO, falls=False, gate_values=20)
    found = opened(alerts(errors, measure=measure, exposure=calls, paid=errors * 0))
    assert len(found) == 1 and 0 <= found["bucket"][0] - at <= 2


def test_latency_doubles() -> None:
    calls = noise(20)
    sums = np.random.default_rng(6).gamma(calls) * 800  # exponential times of 800 ms
    at = 19 * DAY
    sums[at:] *= 2
    squares = 2 * sums**2 / np.maximum(calls, 1)
    found = opened(alerts(sums, measure=Measure("latency", Form.RATIO, falls=False), exposure=calls, squares=squares))
    assert len(found) == 1 and 0 <= found["bucket"][0] - at <= HOUR


def test_a_model_sold_under_cost_is_told_at_once() -> None:
    loss, cost = np.zeros((10, 2)), np.full((10, 2), 100.0)
    loss[6:, 0] = 5.0
    loss[6:, 1] = 0.5  # within the tolerance of 1 %
    found = opened(alerts(loss, measure=Measure("margin", Form.LOSS, falls=False), exposure=cost))
    assert [(a["row"], a["bucket"], a["kind"]) for a in found] == [(0, 6, Kind.LOSS)]
    assert found["amount"][0] == 5.0


def test_many_keys_of_a_model_are_one_alert_and_a_leaked_one_among_them_its_own() -> None:
    value, at = noise(20, subjects=40), 19 * DAY
    value[at : at + HOUR] *= 4
    value[at : at + HOUR, 7] *= 50
    found = opened(alerts(value, group=0))
    assert found["row"].tolist() == [-1, 7]
    assert found["bucket"].tolist() == [at, at]
    assert found["amount"][0] > 30 * 100 * PRICE


def test_money_gates_the_alert_and_not_the_detection() -> None:
    value, at = noise(20, mean=1.0), 19 * DAY
    value[at] = 30
    column = np.zeros(len(value))
    subject = np.full(len(value), "key", dtype=object)
    bucket = MONDAY * DAY + np.arange(len(value))
    for price, expected in ((1e-4, [Told.RECORDED]), (1.0, [Told.OPENED])):
        series = Series(subject.tolist(), bucket, value[:, 0], paid=column + value[:, 0] * price)
        _, found = backtest(series, bucket_s=BUCKET_S, recorded=True)
        begun = found[(found["bucket"] == bucket[at])]
        assert begun["told"].tolist() == expected


def test_a_backfill_teaches_and_is_not_judged() -> None:
    value, at = noise(20), 19 * DAY
    value[at] = 5000
    for late, expected in ((True, 0), (False, 1)):
        detector = Detector(Settings(BUCKET_S))
        detector.add(np.array([-1]))
        told = [
            detector.step(MONDAY * DAY + i, Bucket(row, paid=row * PRICE, late=np.array([late and i == at])))
            for i, row in enumerate(value)
        ]
        assert len(opened(np.concatenate(told))) == expected


def test_control_a_detector_that_thinks_every_tail_normal_alarms_on_a_subject_of_bursts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fault: no tail of the subject's own. The invariant: bursts that are habit alert nobody."""
    value = noise(60, subjects=10)
    rng = np.random.default_rng(8)
    value *= np.where(rng.random(value.shape) < 0.03, rng.pareto(2.5, value.shape) + 1.5, 1)
    habit = len(opened(alerts(value), since=7 * DAY))
    monkeypatch.setattr(tail, "learn", lambda *_: None)
    monkeypatch.setattr("tokenmeter.flow.watch.habit.calibrated", lambda c, score, scale: score)
    assert len(opened(alerts(value), since=7 * DAY)) > 5 * max(habit, 1)


def test_control_a_detector_that_forgets_open_episodes_tells_one_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    value, at = noise(30), 29 * DAY
    value[at : at + 3 * HOUR] *= 6
    assert len(opened(alerts(value))) == 1
    from tokenmeter.flow.watch import step as steps

    real = steps.advance

    def forgetful(side, *rest):  # type: ignore[no-untyped-def]
        side.state[:] = 0
        return real(side, *rest)

    monkeypatch.setattr(steps, "advance", forgetful)
    assert len(opened(alerts(value))) > 1
