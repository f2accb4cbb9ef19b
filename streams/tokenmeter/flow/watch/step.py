"""One bucket of one block: judge it by what was known before, then learn from it.

The order is fixed: size, expectation, residual, scores, episodes of both directions, then everything that learns. What
an open episode shows does not teach the tail and teaches the season little; level and dispersion see it cut at
TAUGHT_DEVIATIONS.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch import cusum, drift, habit, level, loss, residual, season, settings, size, tail
from tokenmeter.flow.watch.bucket import Bucket, Found, Judged, Plan
from tokenmeter.flow.watch.episodes import ALERT, NONE, Seen, Side, accumulate, advance
from tokenmeter.flow.watch.exact import Doubles, Floats, at_least
from tokenmeter.flow.watch.groups import VOTE, votes_of
from tokenmeter.flow.watch.hourly import Hourly
from tokenmeter.flow.watch.newcomers import Newcomers
from tokenmeter.flow.watch.settings import Form, Kind
from tokenmeter.flow.watch.state import HOURS_WEEK, Block, Columns

MONDAY_HOURS = 72
"""1970-01-01 was a Thursday: hour 0 of the week is Monday 00:00 UTC."""
MEAN_MIN = np.float32(1e-4)
EPISODE_SHARE = 0.25
"""The season believes so much of an hour that ends in an episode, told or not: else the next hour expects it."""
NOTHING = Found(np.zeros(0, ALERT), np.zeros(0, VOTE))


def _part(column: Doubles | None, part: slice, otherwise: Floats) -> Floats:
    return otherwise if column is None else column[part].astype(np.float32)


def step(block: Block, plan: Plan, newcomers: Newcomers, bucket: int, seen: Bucket, part: slice) -> Judged:
    """Judge and learn the rows ``part`` of the bucket, which ``block`` holds."""
    c = block.columns
    config, counts = plan.settings, plan.measure.form is Form.COUNT
    # What a minute corrects may be more than it counts.
    value = seen.value[part].astype(np.float32)
    at_least(value, 0, out=value)
    none = np.zeros(c.rows, np.float32)
    squares, paid = _part(seen.squares, part, value), _part(seen.paid, part, none)
    exposure = None if seen.exposure is None else seen.exposure[part].astype(np.float32)
    judged = np.ones(c.rows, bool) if seen.late is None else ~seen.late[part]
    whole = seen.late is None or bool(judged.all())
    if plan.measure.form is Form.LOSS:
        return loss.step(c, plan, bucket, value, none + 1 if exposure is None else exposure, judged)

    hour = (bucket * config.bucket_s // 3600 + MONDAY_HOURS) % HOURS_WEEK
    new = size.unknown(c)
    unit = size.typical(c, new, value, squares)
    y = value / unit

    usual = level.rate(c) if exposure is None else level.rate(c) * exposure
    if block.hourly is None or block.hourly.hour != hour:
        block.hourly = Hourly.of(c, hour, bucket % config.buckets_hour, counts, config)
    h: Hourly = block.hourly
    mean = usual * h.factor + MEAN_MIN
    high, low = usual * h.highest + MEAN_MIN, usual * h.lowest + MEAN_MIN
    phi = residual.dispersion(c)
    z = residual.deviations(y if whole else np.where(judged, y, high), high, phi)
    cut = high + settings.TAUGHT_DEVIATIONS * np.sqrt(high + phi * high * high)
    taught = np.minimum(y, cut)
    # What is not judged adds nothing up.
    up_y, down_y = (taught, taught) if whole else (np.where(judged, taught, high), np.where(judged, taught, low))
    inflation = np.maximum(phi, h.inflation)

    over = z - c.tail_start
    spike = habit.calibrated(c, tail.score(c, z, over), h.spike)
    expects = high
    if len(h.shifting) and counts and not config.close:
        # Two days into a shift the level has followed half of it: the excess is over what weeks have shown.
        expects = high.copy()
        expects[h.shifting] = drift.usual(c)[h.shifting] * h.factor[h.shifting] + MEAN_MIN
    usual_up = high if h.allowance is None else high * h.allowance
    burn = cusum.up(c, up_y, usual_up, 1 + inflation * usual_up, h.up)
    bursts = cusum.often(c, over, h.often)
    burn[h.shifting] = np.maximum(burn[h.shifting], h.shifted[h.shifting])
    drop = cusum.down(c, down_y, low, 1 + inflation * low, h.down)
    silence = cusum.silence(c, y, low, phi, h.quiet) if counts else none
    young = None if h.mature else c.age < config.buckets(settings.YOUNG_DAYS)
    if young is not None:
        learning = c.age < config.buckets(settings.SEASON_DAYS)
        # Days without hours to expect would add up their own shape.
        cusum.forget(c, learning)
        burn, bursts = (np.where(learning, np.float32(0), x) for x in (burn, bursts))
    score = np.maximum(np.maximum(spike, burn), bursts)
    if young is not None:
        first_week = c.age < config.buckets(settings.FIRST_WEEK_DAYS)
        rare = newcomers.score(paid)
        if counts and seen.paid is not None:
            # Its first Monday: what a new one has never done must also be more than new ones do.
            score = np.where(first_week, np.minimum(score, settings.NEW_SHARE * rare), score)
        score = np.where(young, rare, score)
    if not whole:
        score *= judged
    if h.doubt is not None:
        score = score * h.doubt
    lack = np.maximum(drop, silence) if plan.measure.falls else none
    if plan.measure.falls:
        lack *= h.falls if whole else judged & h.falls
        if h.doubt is not None:
            lack = lack * h.doubt

    half = np.float32(config.score / 2)
    results = []
    for side, points, expected, off in ((Side.up(c), score, expects, y - expects), (Side.down(c), lack, low, low - y)):
        rising = points is score
        amount = off * unit if whole else off * unit * judged
        votes = points >= settings.GROUP_VOTE
        running = (side.sum > 0) | votes
        if rising:
            running[h.shifting] |= h.shifted[h.shifting] > 0
        accumulate(side, bucket, running, amount)
        rows = np.flatnonzero(votes | (side.state > NONE))
        if not len(rows):
            results.append(NOTHING)
            continue
        if rising:
            kind = np.where(spike[rows] >= np.maximum(burn, bursts)[rows], Kind.SPIKE, Kind.BURN)
            kind = kind if young is None else np.where(young[rows], Kind.NEWCOMER, kind)
            calm = (z[rows] < 1) & (burn[rows] < half)
            c.sum_often[rows[calm & (side.state[rows] > NONE)]] = 0  # what has opened is not to be told of again
        else:
            kind = np.where(silence[rows] >= drop[rows], Kind.SILENCE, Kind.DROP)
            calm = lack[rows] < half
        scale = unit[rows]
        day = level.typical_day(c, rows, plan.level, config.buckets_day) * scale
        facts = Seen(
            rows,
            points[rows],
            kind.astype(np.uint8),
            calm,
            expected[rows] * scale,
            value[rows],
            amount[rows],
            day,
            size.price(c, rows, value, paid),
        )
        if not ((facts.score >= config.score) | (side.state[rows] > NONE)).any():  # as it is nearly always
            results.append(Found(NOTHING.alerts, votes_of(c.group, side.excess, facts, config)))
            continue
        alerts, shifted, ended = advance(side, facts, bucket, plan.measure, config)
        if rising:
            c.sum_slow[ended] = c.sum_often[ended] = c.drift[ended] = h.shifted[ended] = 0
        alerts["group"] = c.group[alerts["row"]]
        results.append(Found(alerts, votes_of(c.group, side.excess, facts, config)))
        level.accept(c, shifted)

    calm = (c.state_up == NONE) & (c.state_down == NONE)
    if young is not None:
        calm &= ~young
    level.learn(c, taught, y, h.factor if exposure is None else exposure * h.factor, plan.level, plan.recent)
    residual.learn(c, taught, mean, residual.forgetting(c.age, plan.spread))
    tail.learn(c, over, calm.astype(np.float32))
    size.learn(c, value, squares, paid, plan.size)
    c.hour_y += taught
    if not whole:
        c.hour_late += taught - up_y
    c.hour_mean += usual
    c.age += 1
    c.idle += 1
    c.idle[value > 0] = 0
    end = (bucket + 1) * config.bucket_s
    if end % 3600 == 0:
        _learn_hour(c, plan, h)
        block.hourly = None
    if end % 86400 == 0:
        habit.learn_day(c, config.buckets_day)
        if counts:
            drift.learn_day(c, c.age // config.buckets_day)
        block.hourly = None
    return Judged(results[0], results[1], paid[:0] if young is None else paid[young & judged])


def _learn_hour(c: Columns, plan: Plan, h: Hourly) -> None:
    hours = c.age // plan.settings.buckets_hour
    mean = c.hour_mean * h.highest
    _, slow, *_ = cusum.scales(c, c.age, plan.settings)
    cusum.slow(c, c.hour_y - c.hour_late, mean, 1 + residual.hour_dispersion(c) * mean, slow)
    # What the first weeks added up is of learning.
    c.sum_slow[hours == int(plan.settings.slow_days * 24)] = 0
    residual.learn_hour(c, c.hour_mean * h.factor, residual.forgetting(hours, plan.hour_spread))
    if plan.measure.form is Form.COUNT:
        drift.learn_hour(c, h.factor, plan.settings.buckets_hour, hours)
        share = np.where((c.state_up == NONE) & (c.state_down == NONE), np.float32(1), np.float32(EPISODE_SHARE))
        season.learn(c, h.hour, residual.hour_dispersion(c), plan.settings.buckets_day, share)
    c.hour_y[:] = c.hour_mean[:] = c.hour_late[:] = 0
