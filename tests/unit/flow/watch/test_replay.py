"""A replay decides as the first run did: any page cut, restart or order of subjects gives the same bytes and alerts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenmeter.flow.watch import exact, settings
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.collect import Collect
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import ALERT, Told
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.flow.watch.state import EARLIER, RECORD, VERSION

BUCKET_S = 1800
SUBJECTS = 7
START_S = 20_605 * 86400
DAYS = 16
Line = tuple[int, int, float]
"""(broker time, subject, calls)"""


def lines(seed: int = 3) -> list[Line]:
    """Some 10 000 lines in log order, with a runaway on the last day."""
    rng = np.random.default_rng(seed)
    made = []
    for bucket in range(DAYS * 86400 // BUCKET_S):
        for subject in range(SUBJECTS):
            calls = float(rng.poisson(40 * (subject + 1)))
            if subject == 2 and bucket >= (DAYS - 1) * 48 + 9:
                calls *= 40 if bucket < (DAYS - 1) * 48 + 15 else 1
            made.append((START_S + bucket * BUCKET_S + int(rng.integers(0, BUCKET_S)), subject, calls))
    return made


def replay(log: list[Line], page: int, restarts: bool = False) -> tuple[bytes, bytes]:
    """(state, alerts) of a worker that reads ``page`` lines at a time and may begin anew from its state once a day."""
    detector, collect = Detector(Settings(BUCKET_S)), Collect(BUCKET_S)
    detector.add(np.full(SUBJECTS, 0))
    everyone = np.arange(SUBJECTS)
    told: list[NDArray[np.void]] = []
    log = [*log, (START_S + DAYS * 86400, 0, 0.0)]
    for at in range(0, len(log), page):
        for time_s, subject, calls in log[at : at + page]:
            for bucket in collect.closes(time_s):
                told.append(detector.step(bucket, collect.take(SUBJECTS, paid="paid")))
                collect.opened(bucket + 1)
                if restarts and bucket % 48 == 4:
                    detector = _again(detector, everyone)
            value = np.array([calls])
            collect.add(np.array([subject]), SUBJECTS, np.zeros(1, bool), value, paid=value * 0.01)
    return detector.records(everyone).tobytes(), np.concatenate(told).tobytes()


def _again(old: Detector, everyone: NDArray[np.intp], bucket_s: int = BUCKET_S) -> Detector:
    new = Detector(Settings(bucket_s))
    new.add(np.full(len(everyone), -1))
    new.restore(everyone, old.records(everyone).tobytes())
    new.load_pools(old.pools())
    return new


def test_any_page_cut_and_any_restart_gives_the_same_bytes_and_alerts() -> None:
    log = lines()
    whole = replay(log, 10**6)
    assert len(whole[1]) > 0
    assert replay(log, 13) == whole
    assert replay(log, 997, restarts=True) == whole


def test_control_a_state_that_lacks_a_column_differs_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    log = lines()
    whole = replay(log, 997)
    real = Detector.restore

    def lossy(self: Detector, rows: NDArray[np.intp], values: bytes) -> None:
        records = np.frombuffer(values, RECORD).copy()
        records["hour_y"] = 0
        real(self, rows, records.tobytes())

    monkeypatch.setattr(Detector, "restore", lossy)
    assert replay(log, 997, restarts=True) != whole


def test_the_order_of_subjects_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(50)
    values = rng.poisson(5, (200, 50)).astype(np.float64)
    states = []
    for of in (np.arange(50), order):
        detector = Detector(Settings(900))
        detector.add(np.zeros(50, np.int64))
        for i, row in enumerate(values):
            detector.step(i, Bucket(row[of], paid=row[of] * 0.3))
        states.append((detector.records(np.argsort(of)).tobytes(), detector.pools()))
    assert states[0] == states[1]


def test_a_record_survives_the_round_trip_and_another_version_is_refused() -> None:
    detector = Detector()
    detector.add(np.array([3, -1]))
    values = detector.records(np.array([1, 0])).tobytes()
    other = Detector()
    other.add(np.array([-1, -1]))
    other.restore(np.array([1, 0]), values)
    assert other.records(np.array([1, 0])).tobytes() == values
    with pytest.raises(ValueError, match="version"):
        other.restore(np.array([0]), b"\x07" + values[1 : RECORD.itemsize])
    with pytest.raises(ValueError, match="bytes"):
        other.restore(np.array([0]), values[:-1])


@pytest.mark.parametrize(("version", "record"), EARLIER.items())
def test_a_record_of_an_earlier_version_is_read_and_its_new_sums_begin_as_a_new_subjects(
    version: int, record: np.dtype[Any]
) -> None:
    detector, other = Detector(Settings(900)), Detector(Settings(900))
    for one in (detector, other):
        one.add(np.array([3, -1]))
    for i in range(6):
        detector.step(i, Bucket(np.array([3.0, 400.0])))
    everyone = np.arange(2)
    records = detector.records(everyone)
    old = np.zeros(2, record)
    for name in record.names or ():
        old[name] = records[name]
    old["version"] = version
    fresh = other.records(everyone)
    other.restore(everyone, old.tobytes())
    read = other.records(everyone)
    later = set(RECORD.names or ()) - set(record.names or ())
    assert later and all((read[name] == fresh[name]).all() for name in later)
    assert all((read[name] == records[name]).all() for name in record.names or () if name != "version")
    assert (read["version"] == VERSION).all()
    with pytest.raises(ValueError, match="bytes"):
        other.restore(np.array([0]), b"\x09" + old[:1].tobytes()[1:])


def test_a_restart_within_the_hour_in_which_a_subject_comes_of_age_changes_nothing() -> None:
    detector = Detector(Settings(900))
    detector.step(0, Bucket(np.zeros(0)))
    detector.add(np.array([-1]))
    rng = np.random.default_rng(2)
    end = int(settings.WEEK_DAYS * 96) + 8
    told: list[list[bytes]] = [[], []]
    for i in range(1, end):
        value = rng.poisson(40.0 if i < end - 24 else 120.0, 1).astype(np.float64)
        if i == end - 12:
            again = _again(detector, np.zeros(1, np.intp), 900)
        if i >= end - 12:
            told[1].append(again.step(i, Bucket(value, paid=value)).tobytes())
            again = _again(again, np.zeros(1, np.intp), 900)
        told[0].append(detector.step(i, Bucket(value, paid=value)).tobytes())
    assert told[0][-12:] == told[1]
    assert detector.records(np.zeros(1, np.intp)).tobytes() == again.records(np.zeros(1, np.intp)).tobytes()


def test_a_used_row_forgets_who_had_it() -> None:
    detector, fresh = Detector(), Detector()
    detector.add(np.array([0, 0]))
    fresh.add(np.array([5]))
    for i in range(10):
        detector.step(i, Bucket(np.array([3.0, 400.0])))
    detector.reuse(np.array([1]), np.array([5]))
    assert detector.records(np.array([1])).tobytes() == fresh.records(np.array([0])).tobytes()


def test_late_lines_and_clocks_that_jump_do_not_alert_twice() -> None:
    log = lines()
    at = next(i for i, line in enumerate(log) if line[0] >= START_S + (DAYS - 1) * 86400 + 16 * BUCKET_S)
    runaway = [line for line in log[:at] if line[1] == 2][-6:]
    back = [(time_s - 86400, subject, 1.0) for time_s, subject, _ in runaway]
    ahead = [(time_s + 400 * 86400, subject, 1.0) for time_s, subject, _ in runaway]
    for extra in ([], back, ahead):
        alerts = np.frombuffer(replay([*log[:at], *extra, *log[at:]], 100)[1], ALERT)
        assert int((alerts["told"] == Told.OPENED).sum()) == 1


def test_a_bucket_is_not_judged_twice_or_left_out() -> None:
    detector = Detector()
    detector.add(np.array([-1]))
    detector.step(5, Bucket(np.zeros(1)))
    for bucket in (5, 7):
        with pytest.raises(ValueError, match="bucket"):
            detector.step(bucket, Bucket(np.zeros(1)))


def test_the_exact_logarithm_is_one_and_does_not_depend_on_the_place() -> None:
    x = np.exp(np.random.default_rng(0).uniform(-60, 60, 1001)).astype(np.float32)
    found = exact.log(x)
    assert np.max(np.abs(found - np.log(x.astype(np.float64))) / np.maximum(1, np.abs(found))) < 1e-6
    assert all(exact.log(x[i : i + 1])[0] == found[i] for i in range(0, 1001, 50))
