"""What CLOSE tells of a subject in its second week, what comes in bursts, and what comes back within hours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import cusum, season, settings
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Seen, Side, Told, accumulate, advance
from tokenmeter.flow.watch.settings import Kind, Measure, Sensitivity, Settings
from tokenmeter.flow.watch.state import Block

Doubles = NDArray[np.float64]
BUCKET_S = 900
HOUR = 3600 // BUCKET_S
DAY = 24 * HOUR
START = 20_605 * DAY
"""A Monday."""


def usual(days: int, weekend: float = 1.0) -> Doubles:
    """Calls of a subject that keeps its hours to a few per cent."""
    hours = np.arange(days * DAY) / HOUR
    mean = np.where((hours % 24 >= 8) & (hours % 24 < 20), 80.0, 20.0)
    mean[(hours // 24).astype(int) % 7 >= 5] *= weekend
    return mean + np.random.default_rng(5).uniform(-3, 3, len(mean))


def opened(value: Doubles) -> NDArray[np.void]:
    """What CLOSE opens, buckets counted from 0."""
    detector = Detector(Settings(BUCKET_S, Sensitivity.CLOSE))
    detector.add(np.array([-1]))
    told = np.concatenate(
        [detector.step(START + i, Bucket(now, paid=np.maximum(now, 0) * 10)) for i, now in enumerate(value[:, None])]
    )
    told["bucket"] -= START
    return told[told["told"] == Told.OPENED]


def half_a_day_is_missing(weekend: float = 1.0) -> Doubles:
    value = usual(11, weekend)
    value[10 * DAY + 8 * HOUR : 10 * DAY + 20 * HOUR] /= 2
    return value


def test_a_steady_subject_that_falls_to_half_in_its_second_week_is_told() -> None:
    (alert,) = [one for one in opened(half_a_day_is_missing()) if one["kind"] in (Kind.DROP, Kind.SILENCE)]
    assert 10 * DAY + 8 * HOUR <= alert["bucket"] < 10 * DAY + 20 * HOUR


def test_a_second_weekend_is_no_drop() -> None:
    assert not np.isin(opened(usual(14, weekend=0.2))["kind"], (Kind.DROP, Kind.SILENCE)).any()


@pytest.mark.parametrize(("name", "value"), [("STEADY_DISPERSION", 0.0), ("STEADY_DAYS", 14.0)])
def test_control_who_waits_for_two_weekends_does_not_tell_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(settings, name, value)
    assert not np.isin(opened(half_a_day_is_missing())["kind"], (Kind.DROP, Kind.SILENCE)).any()


def test_control_where_an_hour_teaches_what_the_next_may_fall_to_it_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = season.factors
    monkeypatch.setattr(season, "factors", lambda c, hour, held: real(c, hour, False))
    assert not np.isin(opened(half_a_day_is_missing())["kind"], (Kind.DROP, Kind.SILENCE)).any()


def bursts() -> Doubles:
    """A jittery subject: each sixtieth bucket is half as much again, and for ten hours of its last day each third."""
    value = usual(25)
    value[np.random.default_rng(8).random(len(value)) < 1 / 60] *= 1.45
    value[24 * DAY + 9 * HOUR : 24 * DAY + 19 * HOUR : 3] = 80 * 1.45
    return value


def test_bursts_that_come_more_often_are_told_though_none_is_higher() -> None:
    assert (opened(bursts())["bucket"] >= 24 * DAY + 9 * HOUR).sum() == 1


def test_control_without_the_sum_of_bursts_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cusum, "often", lambda c, *_: np.zeros(c.rows, np.float32))
    assert (opened(bursts())["bucket"] >= 24 * DAY + 9 * HOUR).sum() == 0


def told_of(scores: dict[int, float]) -> list[int]:
    """The buckets in which an episode opens whose scores over what an alert needs are these, and 0 else."""
    plan, block = Settings(BUCKET_S), Block()
    c = block.extend(1)
    found = []
    for bucket in range(1, 3 * DAY):
        one, score = np.ones(1, np.float32), np.float32(scores[bucket] + plan.score if bucket in scores else 0)
        kind, calm = np.full(1, Kind.SPIKE, np.uint8), np.array([score == 0])
        seen = Seen(np.zeros(1, np.intp), one * score, kind, calm, one, one * 9, one * 9, one, one)
        side = Side.up(c)
        accumulate(side, bucket, ~calm, seen.excess)
        alerts, _, _ = advance(side, seen, bucket, Measure(), plan)
        found += alerts["bucket"][alerts["told"] == Told.OPENED].tolist()
    return found


AGAIN = {DAY: 0.5, DAY + 6 * HOUR: 0.5, DAY + 20 * HOUR: 0.5, DAY + 26 * HOUR: 1.5}


def test_what_comes_back_within_hours_is_told_if_it_is_rarer() -> None:
    assert told_of(AGAIN) == [DAY, DAY + 20 * HOUR, DAY + 26 * HOUR]


def test_control_without_the_pause_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REPEAT_HOURS", 0.0)
    assert told_of(AGAIN) == list(AGAIN)


def test_a_minute_that_corrects_more_than_it_counts_is_a_minute_of_nothing() -> None:
    value = half_a_day_is_missing()
    value[3 * DAY : 3 * DAY + 8] = -50
    assert opened(value).tobytes() == opened(np.maximum(value, 0)).tobytes()
    assert len(opened(value))
