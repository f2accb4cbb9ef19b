"""Anomalies in clean traffic: found, how late, what they cost until then, by kind and size, beside the baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.watch_baselines import BASELINES
from bench.watch_traffic import START, Traffic
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Form, Measure, Sensitivity, Settings

Doubles = NDArray[np.float64]
KINDS: dict[str, tuple[str, float, int]] = {
    "spike × 3": ("spike", 3, 30),
    "spike × 10": ("spike", 10, 30),
    "spike × 30": ("spike", 30, 30),
    "spike × 100": ("spike", 100, 30),
    "ramp to × 10 in 4 h": ("ramp", 10, 240),
    "level × 1.5 for 12 h": ("spike", 1.5, 720),
    "level × 1.5 for 2 d": ("level", 1.5, 2880),
    "leaked key": ("leak", 50, 180),
    "silence": ("spike", 0, 720),
    "error surge 2 → 30 %": ("errors", 0.3, 60),
}
"""Name: (shape, size, minutes)."""


@dataclass(frozen=True)
class Outcome:
    kind: str
    detector: str
    keys: int
    found: int
    median_delay_min: float
    lost_usd: float
    worth: int
    """Keys whose anomaly costs the gate's floor or more in all."""
    worth_found: int


def injected(
    keys_each: int, days: int = 16, seed: int = 23, sensitivity: Sensitivity = Sensitivity.NORMAL
) -> list[Outcome]:
    """One anomaly a key, over by the end of the last day; keys of 0.2 calls a minute and more."""
    names = list(KINDS)
    keys = keys_each * len(names)
    traffic = Traffic(keys, days, seed)
    traffic.born[:], traffic.dead[:], traffic.backfill[:] = 0, np.inf, 0
    traffic.volume = np.maximum(traffic.volume, 0.2)
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(len(names)), keys_each)
    begins = (days - 1) * 1440 + rng.integers(0, 720, keys)
    lasts = np.array([KINDS[name][2] for name in names])[kind]
    begins -= np.maximum(lasts - 720, 0)
    minutes = days * 1440
    calls = np.zeros((minutes, keys), np.float32)
    for i, minute in enumerate(traffic.minutes()):
        calls[i] = minute.calls
    usual = calls.copy()
    errors = rng.binomial(calls.astype(np.int32), 0.02).astype(np.float32)
    for key in range(keys):
        shape, size, length = KINDS[names[kind[key]]]
        here = slice(begins[key], begins[key] + length)
        level = np.maximum(usual[max(begins[key] - 60, 0) : begins[key], key].mean(), 0.2)
        if shape == "spike":
            calls[here, key] = np.round(usual[here, key] * size)
        elif shape == "level":  # in whole calls, by chance and not by rounding
            calls[here, key] += rng.binomial(usual[here, key].astype(np.int32), size - 1)
        elif shape == "ramp":
            calls[here, key] = np.round(usual[here, key] * np.linspace(1, size, length))
        elif shape == "leak":  # somebody else's calls on top, whatever the hour
            calls[here, key] += rng.poisson(level * size, length)
        else:
            errors[here, key] = rng.binomial(usual[here, key].astype(np.int32), size)
    by_errors = names.index("error surge 2 → 30 %")
    first = _watch(traffic, calls, errors, kind == by_errors, begins, sensitivity)
    found = {f"watch, {sensitivity.name}": first} | {
        name: _first(flag(calls.astype(np.float64), 60), begins, lasts) for name, flag in BASELINES.items()
    }
    outcomes = []
    for number, name in enumerate(names):
        of = kind == number
        for detector, at in found.items():
            hit = of & (at >= begins) & (at < begins + lasts)
            end = np.where(hit, at + 1, begins + lasts)
            lost = sum(_usd(calls, usual, traffic, k, begins[k], end[k]) for k in np.flatnonzero(of).tolist())
            delay = float(np.median((at - begins)[hit])) if hit.any() else float("nan")
            floor = Measure().gate_floor
            worth = [
                k
                for k in np.flatnonzero(of).tolist()
                if number == by_errors or _usd(calls, usual, traffic, k, begins[k], begins[k] + lasts[k]) >= floor
            ]
            both = int(hit[worth].sum())
            outcomes.append(Outcome(name, detector, int(of.sum()), int(hit.sum()), delay, lost, len(worth), both))
    return outcomes


def _usd(calls: Doubles, usual: Doubles, traffic: Traffic, key: int, begin: int, end: int) -> float:
    """What ``key`` costs off its habit in the minutes [begin, end)."""
    return abs(float((calls[begin:end, key] - usual[begin:end, key]).sum())) * float(traffic.price[key])


def _watch(
    traffic: Traffic,
    calls: Doubles,
    errors: Doubles,
    by_errors: NDArray[np.bool_],
    begins: Doubles,
    sensitivity: Sensitivity,
) -> Doubles:
    """The minute of each key's first alert behind its beginning; −1 for none."""
    spend = Detector(Settings(60, sensitivity))
    faults = Detector(Settings(60, sensitivity), Measure("errors", Form.RATIO, falls=False, gate_values=10))
    for detector in (spend, faults):
        detector.add(np.full(traffic.keys, -1))
    at = np.full(traffic.keys, -1)
    for i, now in enumerate(calls.astype(np.float64)):
        for detector, bucket, of in (
            (spend, Bucket(now, paid=now * traffic.price), ~by_errors),
            (faults, Bucket(errors[i].astype(np.float64), exposure=now), by_errors),
        ):
            alerts = detector.step(START + i, bucket)
            for row in alerts["row"][alerts["told"] == Told.OPENED]:
                if of[row] and at[row] < 0 and i >= begins[row]:
                    at[row] = i
    return at


def _first(flags: NDArray[np.bool_], begins: Doubles, lasts: Doubles) -> Doubles:
    """The first flagged minute within each key's anomaly; −1 for none."""
    at = np.full(flags.shape[1], -1)
    for key, (begin, last) in enumerate(zip(begins, lasts, strict=True)):
        hits = np.flatnonzero(flags[begin : begin + last, key])
        if len(hits):
            at[key] = begin + hits[0]
    return at
