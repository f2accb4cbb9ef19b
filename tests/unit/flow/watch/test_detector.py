"""The detector on hand-made series: each kind is found, a stable subject is not, and an alert is told once and ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import cusum, drift, tail
from tokenmeter.flow.watch import step as steps
from tokenmeter.flow.watch.backtest import Series, backtest
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Side, Told
from tokenmeter.flow.watch.settings import Form, Kind, Measure, Sensitivity, Settings

Doubles = NDArray[np.float64]
BUCKET_S = 1800
DAY = 86400 // BUCKET_S
HOUR = DAY // 24
DAYS = 60
MONDAY = 20_605
"""Days since 1970 of a Monday, where the series begin."""
AT = 50 * DAY
"""When it happens."""
PRICE = 0.02
START = MONDAY * DAY


def usual(subjects: int = 1, days: int = DAYS, mean: float = 100.0, seed: int = 1) -> Doubles:
    """Calls (buckets, subjects) of subjects that follow the day mildly."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * DAY)[:, None] / HOUR
    shape = np.exp(0.4 * np.cos(2 * np.pi * (hours - 14) / 24))
    return rng.poisson(mean * shape * rng.gamma(50, 1 / 50, (days * DAY, subjects))).astype(np.float64)


def world() -> dict[str, Doubles]:
    """Subjects with something that happens AT, and twenty to whom nothing does."""
    made = usual(29).T
    names = ["spike", "line", "ends", "level", "silent", "half", "office", "runaway", "backfill"]
    series = dict(zip(names, made, strict=False)) | {f"stable {i}": row for i, row in enumerate(made[9:])}
    series["spike"][AT] = 2000
    series["line"][AT : AT + 3 * HOUR] *= [2.2, 4, 2.2, 4, 2.2, 4]
    series["ends"][AT : AT + 4] *= 6
    series["level"][AT:] *= 2
    series["silent"][AT:] = 0
    series["half"][AT:] //= 2.5
    hours = np.arange(DAYS * DAY) // HOUR
    series["office"][~(((hours % 24) >= 9) & ((hours % 24) < 17) & ((hours // 24) % 7 < 5))] = 0
    series["runaway"][AT - 9 * DAY : AT - 2 * DAY] = 0
    series["runaway"][AT - 2 * DAY : AT - DAY] //= 10
    series["runaway"][AT + DAY // 2 : AT + DAY // 2 + HOUR] = 5000
    series["backfill"][AT] = 5000
    return series


def run(series: dict[str, Doubles], sensitivity: Sensitivity = Sensitivity.NORMAL) -> dict[str, NDArray[np.void]]:
    """What is told of each subject, buckets counted from 0; calls cost PRICE each."""
    value = np.array(list(series.values())).T
    late = np.array([name == "backfill" for name in series])
    detector = Detector(Settings(BUCKET_S, sensitivity))
    detector.add(np.full(value.shape[1], -1))
    found = np.concatenate(
        [
            detector.step(START + i, Bucket(row, paid=row * PRICE, late=late if i == AT else None))
            for i, row in enumerate(value)
        ]
    )
    found["bucket"] -= START
    found = found[found["told"] < Told.RECORDED]
    return {name: found[found["row"] == row] for row, name in enumerate(series)}


@pytest.fixture(scope="module")
def told() -> dict[str, NDArray[np.void]]:
    return run(world())


def alerts(
    value: Doubles,
    measure: Measure | None = None,
    group: int = -1,
    sensitivity: Sensitivity = Sensitivity.NORMAL,
    **columns: Doubles,
) -> NDArray[np.void]:
    """What is told of ``value`` (buckets, subjects) of one measure, buckets counted from 0."""
    detector = Detector(Settings(BUCKET_S, sensitivity), measure)
    detector.add(np.full(value.shape[1], group))
    found = np.concatenate(
        [
            detector.step(START + i, Bucket(row, **{name: column[i] for name, column in columns.items()}))
            for i, row in enumerate(value)
        ]
    )
    found["bucket"] -= START
    found["since"] -= START
    return found[found["told"] < Told.RECORDED]


def opened(found: NDArray[np.void], since: int = 0) -> NDArray[np.void]:
    return found[(found["told"] == Told.OPENED) & (found["bucket"] >= since)]


Alerts = dict[str, NDArray[np.void]]


def test_sixty_stable_days_alert_nobody(told: Alerts) -> None:  # A01
    assert {name: len(found) for name, found in told.items() if name.startswith("stable") and len(found)} == {}


def test_a_spike_alerts_in_its_own_bucket_with_what_was_expected_and_seen(told: Alerts) -> None:
    (first,) = opened(told["spike"])
    assert (first["bucket"], first["kind"]) == (AT, Kind.SPIKE)
    assert first["seen"] == 2000 and 50 < first["expected"] < 200
    assert first["score"] >= Settings(BUCKET_S).score
    assert first["amount"] == pytest.approx((first["seen"] - first["expected"]) * PRICE, rel=0.02)


def test_a_figure_on_the_line_for_three_hours_is_one_alert(told: Alerts) -> None:  # A01
    assert len(opened(told["line"])) == 1


def test_an_alert_ends_and_says_so(told: Alerts) -> None:
    found = told["ends"]
    assert (found["told"][0], found["told"][-1]) == (Told.OPENED, Told.CLOSED)
    assert AT + 4 <= found["bucket"][-1] <= AT + 4 + 4 * HOUR


def test_a_new_level_burns_and_becomes_the_new_normal(told: Alerts) -> None:
    found = told["level"]
    assert len(opened(found)) == 1 and opened(found)["kind"][0] == Kind.BURN
    assert 0 <= opened(found)["bucket"][0] - AT <= 12 * HOUR
    assert Told.NEW_NORMAL in found["told"]


def test_half_as_much_again_is_told_within_a_day() -> None:
    value = usual(2)
    value[AT:, 0] *= 1.5
    (alert,) = [one for one in opened(alerts(value, paid=value * PRICE)) if one["bucket"] < AT + DAY]
    assert (alert["row"], alert["kind"]) == (0, Kind.BURN)
    assert alert["since"] >= AT and alert["bucket"] - AT >= 2 * HOUR


def test_control_without_sums_of_whole_hours_half_as_much_again_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cusum, "slow", lambda *_: None)
    monkeypatch.setattr(drift, "learn_hour", lambda *_: None)
    monkeypatch.setattr(cusum, "often", lambda _, over, __: 0 * over)
    value = usual()
    value[AT:] *= 1.5
    assert len(opened(alerts(value, paid=value * PRICE))) == 0


def doubled_office() -> Doubles:
    """Eighty in office hours, twenty else, and twice that from the tenth hour of the eleventh day: it takes hours to be
    a tenth of the day."""
    hours = np.arange(11 * DAY) / HOUR
    value = np.where((hours % 24 >= 9) & (hours % 24 < 19), 80.0, 20.0)
    value += np.random.default_rng(9).uniform(0, 8, len(hours))
    value[hours >= 10 * 24 + 10] *= 2
    return value[:, None]


def test_what_is_not_told_yet_is_not_expected_in_the_next_hour() -> None:
    (alert,) = opened(alerts(doubled_office(), sensitivity=Sensitivity.CLOSE))
    assert alert["expected"] < 100


def test_control_a_season_that_believes_an_episode_expects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "EPISODE_SHARE", 1.0)
    (alert,) = opened(alerts(doubled_office(), sensitivity=Sensitivity.CLOSE))
    assert alert["expected"] > 120


@pytest.mark.parametrize(("name", "kind"), [("silent", Kind.SILENCE), ("half", Kind.DROP)])
def test_silence_and_half_of_the_usual_are_told(told: Alerts, name: str, kind: Kind) -> None:
    first = opened(told[name])[0]
    assert first["kind"] == kind and 0 <= first["bucket"] - AT <= 18 * HOUR


def test_office_hours_are_habit_from_the_fourth_monday_on(told: Alerts) -> None:  # A01
    assert len(opened(told["office"], since=21 * DAY)) == 0


def test_a_runaway_after_a_silent_week_fires(told: Alerts) -> None:  # A02
    found = told["runaway"]
    spoke = found[(found["bucket"] >= AT + DAY // 2) & np.isin(found["told"], (Told.OPENED, Told.WORSE))]
    assert len(spoke) and spoke["bucket"][0] == AT + DAY // 2


def test_a_backfill_teaches_and_is_not_judged(told: Alerts) -> None:
    assert len(opened(told["backfill"])) == 0


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
    calls, at = usual(days=20), 19 * DAY
    calls[at - DAY] *= 10  # many calls with their errors are no surge
    errors = np.random.default_rng(4).binomial(calls.astype(int), 0.05).astype(np.float64)
    errors[at:] = np.round(calls[at:] * 0.6)
    measure = Measure("errors", Form.RATIO, falls=False, gate_values=20)
    found = opened(alerts(errors, measure, exposure=calls))
    assert len(found) == 1 and 0 <= found["bucket"][0] - at <= 2


def test_latency_doubles() -> None:
    calls, at = usual(days=20), 19 * DAY
    sums = np.random.default_rng(6).gamma(np.maximum(calls, 1)) * 800  # exponential times of 800 ms
    sums[at:] *= 3
    squares = 2 * sums**2 / np.maximum(calls, 1)
    found = opened(alerts(sums, Measure("latency", Form.RATIO, falls=False), exposure=calls, squares=squares))
    assert len(found) == 1 and 0 <= found["bucket"][0] - at <= 3 * HOUR


def test_a_model_sold_under_cost_is_told_at_once() -> None:
    loss, cost = np.zeros((10, 2)), np.full((10, 2), 100.0)
    loss[6:, 0] = 5.0
    loss[6:, 1] = 0.5  # within the tolerance of 1 %
    found = opened(alerts(loss, Measure("margin", Form.LOSS, falls=False), exposure=cost))
    assert [(a["row"], a["bucket"], a["kind"]) for a in found] == [(0, 6, Kind.LOSS)]
    assert found["amount"][0] == 5.0


def test_many_keys_of_a_model_are_one_alert_and_a_leaked_one_among_them_its_own() -> None:
    value, at = usual(40, days=16), 15 * DAY
    value[at : at + HOUR] *= 4
    value[at : at + HOUR, 7] *= 50
    found = opened(alerts(value, group=0, paid=value * PRICE))
    assert found["row"].tolist() == [-1, 7]
    assert found["bucket"].tolist() == [at, at]
    assert found["amount"][0] > 30 * 100 * PRICE


def test_money_gates_the_alert_and_not_the_detection() -> None:
    value, at = usual(days=16, mean=3.0)[:, 0], 15 * DAY
    value[at] = 90
    bucket = START + np.arange(len(value))
    for price, expected in ((1e-4, [Told.RECORDED]), (1.0, [Told.OPENED])):
        series = Series(["key"] * len(value), bucket, value, paid=value * price)
        _, found = backtest(series, bucket_s=BUCKET_S, recorded=True)
        assert found[found["bucket"] == bucket[at]]["told"].tolist() == expected


def test_control_a_detector_without_tails_alarms_on_bursts_that_are_habit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: no subject has a tail of its own. The invariant: bursts that are habit alert nobody."""
    rng = np.random.default_rng(8)
    value = usual(10, days=40)
    value *= np.where(rng.random(value.shape) < 0.03, rng.pareto(2.5, value.shape) + 1.5, 1)
    series = {str(i): row for i, row in enumerate(value.T)}
    habit = sum(len(opened(found, since=10 * DAY)) for found in run(series).values())
    monkeypatch.setattr(tail, "learn", lambda *_: None)
    monkeypatch.setattr("tokenmeter.flow.watch.habit.calibrated", lambda c, score, scale: score)
    without = sum(len(opened(found, since=10 * DAY)) for found in run(series).values())
    assert without > 5 * max(habit, 1)


def test_control_a_detector_that_forgets_open_episodes_tells_one_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    series = {"line": world()["line"][: AT + DAY]}
    assert len(opened(run(series)["line"])) == 1
    real = steps.advance

    def forgetful(side: Side, *rest: Any) -> Any:
        side.state[:] = 0
        return real(side, *rest)

    monkeypatch.setattr(steps, "advance", forgetful)
    assert len(opened(run(series)["line"])) > 1
