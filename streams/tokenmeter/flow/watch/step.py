"""One bucket of one block: judge it by what was known before, then learn from it.

The order is fixed: size, expectation, residual, scores, episodes of both directions, then everything that learns. What
an open episode shows does not teach the dispersion, the tail and the season; the level sees it cut at
TAUGHT_DEVIATIONS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import cusum, habit, level, residual, season, settings, size, tail
from tokenmeter.flow.watch.episodes import NONE, Seen, Side, accumulate, advance
from tokenmeter.flow.watch.exact import Doubles, Floats, Mask
from tokenmeter.flow.watch.groups import VOTE
from tokenmeter.flow.watch.newcomers import Newcomers
from tokenmeter.flow.watch.settings import Form, Kind, Measure, Settings
from tokenmeter.flow.watch.state import HOURS_WEEK, Columns

MONDAY_HOURS = 72
"""1970-01-01 was a Thursday: hour 0 of the week is Monday 00:00 UTC."""
FALLS_DAYS = 14
"""A weekend is no silence: too little is judged once a subject has shown two weekends."""
MEAN_MIN = 1e-4
CERTAIN = 99.0
"""The score of a loss over its tolerance: a fact, not a probability."""


@dataclass(frozen=True)
class Bucket:
    """What every subject did in one bucket (rows each)."""

    value: Doubles
    """Calls, tokens, currency, errors, milliseconds: Σ over the subject's calls."""
    squares: Doubles | None = None
    """Σ of each call's value²; None: each call is 1."""
    paid: Doubles | None = None
    """Σ currency."""
    exposure: Doubles | None = None
    """Of a RATIO: calls; of a LOSS: what it is a share of."""
    late: Mask | None = None
    """A backfill: learned from, not judged."""


@dataclass(frozen=True)
class Plan:
    """The settings as one bucket needs them."""

    settings: Settings
    measure: Measure
    level: float
    recent: float
    size: float
    spread: float
    hour_spread: float

    @classmethod
    def of(cls, plan: Settings, measure: Measure) -> Plan:
        days = settings.LEVEL_DAYS, settings.RECENT_DAYS, settings.SIZE_DAYS, settings.DISPERSION_DAYS
        hourly = round(float(0.5 ** (1 / (settings.DISPERSION_DAYS * 24))), 12)
        level, recent, size, spread = (plan.discount(d) for d in days)
        return cls(plan, measure, level, recent, size, spread, hourly)


@dataclass(frozen=True)
class Found:
    """Alerts and voters of one direction; rows count within the block."""

    alerts: NDArray[np.void]
    votes: NDArray[np.void]


@dataclass(frozen=True)
class Judged:
    rising: Found
    falling: Found
    newcomers: Floats
    """What each young subject paid."""


def _part(column: Doubles | None, part: slice, otherwise: Floats) -> Floats:
    return otherwise if column is None else column[part].astype(np.float32)


def step(c: Columns, plan: Plan, newcomers: Newcomers, bucket: int, seen: Bucket, part: slice) -> Judged:
    """Judge and learn the rows ``part`` of the bucket, which ``c`` holds."""
    config = plan.settings
    value = seen.value[part].astype(np.float32)
    none = np.zeros(c.rows, np.float32)
    squares, paid = _part(seen.squares, part, value), _part(seen.paid, part, none)
    exposure = _part(seen.exposure, part, none + 1)
    judged = np.ones(c.rows, bool) if seen.late is None else ~seen.late[part]
    if plan.measure.form is Form.LOSS:
        return _losses(c, plan, bucket, value, exposure, judged)

    hour = (bucket * config.bucket_s // 3600 + MONDAY_HOURS) % HOURS_WEEK
    young = c.age < settings.YOUNG_DAYS * config.buckets_day
    # A young subject has no typical call yet: its first bucket is its own.
    fresh = c.size_sum <= 0
    size.learn(c, value * fresh, squares * fresh, paid * fresh, 1.0)
    unit, price = size.typical(c), size.price(c)
    y = value / unit

    rate = level.rate(c)
    usual = rate * exposure
    if plan.measure.form is Form.COUNT:
        factor, highest, lowest = season.factors(c, hour)
    else:
        factor = highest = lowest = none + 1
    mean = usual * factor + MEAN_MIN
    high, low = usual * highest + MEAN_MIN, usual * lowest + MEAN_MIN
    phi = residual.dispersion(c)
    z = residual.deviations(y, high, phi)
    deviation = np.sqrt(high + phi * high * high)
    taught = np.minimum(y, high + settings.TAUGHT_DEVIATIONS * deviation)
    correlated = residual.hour_dispersion(c) * np.float32(config.buckets_hour)

    # A first day has no hours to expect; what it would add up is its own shape.
    for total in (c.sum_up, c.sum_down, c.sum_quiet):
        total *= ~young
    spike = habit.calibrated(c, tail.score(c, z), config.buckets_day)
    burn = cusum.up(c, taught, high, 1 + np.maximum(phi, correlated) * high)
    drop = cusum.down(c, taught, low, 1 + np.maximum(phi, correlated) * low)
    silence = cusum.silence(c, y, low, phi)
    first = newcomers.score(paid)
    score = np.where(young, first, np.maximum(spike, burn)) * judged
    kind = np.where(young, Kind.NEWCOMER, np.where(spike >= burn, Kind.SPIKE, Kind.BURN))
    falls = judged & (c.age >= FALLS_DAYS * config.buckets_day) & plan.measure.falls
    if plan.measure.form is Form.RATIO:
        silence = none
    lack = np.maximum(drop, silence) * falls
    lack_kind = np.where(silence >= drop, Kind.SILENCE, Kind.DROP)

    day = level.typical_day(c, plan.level, config.buckets_day) * unit
    half = config.score / 2
    up, down = Side.up(c), Side.down(c)
    results = []
    for side, points, kinds, calm, expected, off in (
        (up, score, kind, (z < 1) & (burn < half), high, y - high),
        (down, lack, lack_kind, lack < half, low, low - y),
    ):
        amount = off * unit
        accumulate(side, bucket, (side.sum > 0) | (points >= settings.GROUP_VOTE), amount)
        facts = Seen(points, kinds.astype(np.uint8), calm, expected * unit, value, amount, day, price)
        rows = np.flatnonzero((points >= settings.GROUP_VOTE) | (side.state > NONE))
        alerts, shifted = advance(side, facts, bucket, plan.measure, config, rows)
        alerts["group"] = c.group[alerts["row"]]
        results.append(Found(alerts, _votes(c, side, facts, rows, config)))
        level.accept(c, shifted, config.buckets_hour)

    calm = ((up.state == NONE) & (down.state == NONE)).astype(np.float32)
    level.learn(c, taught, y, exposure * factor, plan.level, plan.recent)
    residual.learn(c, taught, mean, residual.forgetting(c.age, plan.spread))
    tail.learn(c, z, calm * ~young)
    size.learn(c, value * ~fresh, squares * ~fresh, paid * ~fresh, plan.size)
    c.hour_y += taught
    c.hour_mean += usual
    c.age += 1
    c.idle += 1
    c.idle *= value == 0
    end = (bucket + 1) * config.bucket_s
    if end % 3600 == 0:
        _learn_hour(c, plan, hour)
    if end % 86400 == 0:
        habit.learn_day(c, config.buckets_day)
    return Judged(results[0], results[1], paid[young & judged])


def _learn_hour(c: Columns, plan: Plan, hour: int) -> None:
    counts = plan.measure.form is Form.COUNT
    factor = season.factors(c, hour)[0] if counts else np.ones(c.rows, np.float32)
    hours = c.age // plan.settings.buckets_hour
    residual.learn_hour(c, c.hour_mean * factor, residual.forgetting(hours, plan.hour_spread))
    if counts:
        season.learn(c, hour, residual.hour_dispersion(c), plan.settings.buckets_day)
    c.hour_y[:] = c.hour_mean[:] = 0


def _votes(c: Columns, side: Side, facts: Seen, rows: NDArray[np.intp], config: Settings) -> NDArray[np.void]:
    rows = rows[c.group[rows] >= 0]
    votes = np.zeros(len(rows), VOTE)
    votes["group"], votes["kind"], votes["score"] = c.group[rows], facts.kind[rows], facts.score[rows]
    votes["expected"], votes["seen"], votes["excess"] = facts.expected[rows], facts.value[rows], side.excess[rows]
    votes["amount"] = votes["excess"] * facts.price[rows]
    votes["pace"] = votes["amount"] + np.maximum(facts.excess[rows], 0) * facts.price[rows] * config.buckets_hour
    return votes


def _losses(c: Columns, plan: Plan, bucket: int, value: Floats, exposure: Floats, judged: Mask) -> Judged:
    """What is lost over the tolerance is an alarm by itself: value and exposure in currency, nothing expected."""
    lost = np.maximum(value - plan.measure.tolerance * exposure, 0)
    score = np.where((lost > 0) & judged, CERTAIN, 0).astype(np.float32)
    zero, one = np.zeros(c.rows, np.float32), np.ones(c.rows, np.float32)
    side = Side.up(c)
    accumulate(side, bucket, (score > 0) | (side.state > NONE), value)
    kind = np.full(c.rows, Kind.LOSS, np.uint8)
    facts = Seen(score, kind, lost <= 0, zero, value, value, zero, one)
    rows = np.flatnonzero((score > 0) | (side.state > NONE))
    alerts, _ = advance(side, facts, bucket, plan.measure, plan.settings, rows)
    alerts["group"] = c.group[alerts["row"]]
    c.age += 1
    c.idle += 1
    c.idle *= exposure == 0
    found = Found(alerts, _votes(c, side, facts, rows, plan.settings))
    return Judged(found, Found(alerts[:0], np.zeros(0, VOTE)), zero[:0])
