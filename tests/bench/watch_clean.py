"""False alarms in clean months, per 100 000 key-days at each sensitivity, beside what the setting promises."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.watch_traffic import START, Traffic
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Kind, Sensitivity, Settings

PER = 100_000


@dataclass
class Rate:
    sensitivity: Sensitivity
    key_days: float
    alarms: int = 0
    """Opened, of single keys; what a dead key's silence or a group says is counted apart."""
    gone: int = 0
    groups: int = 0
    recorded: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.alarms / self.key_days * PER

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of a Poisson count (Byar's approximation)."""
        n = self.alarms
        low = n * (1 - 1 / (9 * n) - 1.96 / (3 * math.sqrt(n))) ** 3 if n else 0.0
        m = n + 1
        high = m * (1 - 1 / (9 * m) + 1.96 / (3 * math.sqrt(m))) ** 3
        return low / self.key_days * PER, high / self.key_days * PER


def clean(keys: int, days: int, seed: int = 7, bucket_s: int = 60) -> list[Rate]:
    traffic = Traffic(keys, days, seed, bucket_s)
    hours = np.clip(np.minimum(traffic.dead, days * 24) - traffic.born, 0, None)
    rates = [Rate(s, float(hours.sum()) / 24) for s in Sensitivity]
    detectors = [Detector(Settings(bucket_s, s)) for s in Sensitivity]
    # Keys are added in the order of their births.
    order = np.argsort(traffic.born, kind="stable")
    births = traffic.born[order]
    for minute in traffic.minutes():
        hour = (minute.bucket * bucket_s - START * 60) // 3600
        known = int(np.searchsorted(births, hour, side="right"))
        here = order[:known]
        calls = minute.calls[here]
        bucket = Bucket(calls, paid=calls * traffic.price[here], late=minute.late[here])
        for rate, detector in zip(rates, detectors, strict=True):
            if known > detector.rows:
                detector.add(traffic.group[order[detector.rows : known]])
            _count(rate, detector.step(minute.bucket, bucket), traffic, here, hour)
    return rates


def _count(rate: Rate, alerts: NDArray[np.void], traffic: Traffic, here: NDArray[np.intp], hour: int) -> None:
    for alert in alerts:
        if alert["told"] == Told.RECORDED:
            rate.recorded += 1
        if alert["told"] != Told.OPENED:
            continue
        falls = alert["kind"] in (Kind.DROP, Kind.SILENCE)
        if alert["row"] < 0:
            rate.groups += 1
        elif falls and hour >= traffic.dead[here[alert["row"]]] - 48:
            rate.gone += 1
        else:
            rate.alarms += 1
            rate.kinds[Kind(alert["kind"]).name] += 1
