"""What can be set, what a sensitivity costs in false alarms, and every constant of the method with its unit.

No constant was fitted to the labelled series of the bench. README.md says on what they were chosen, and how often those
series were looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, IntEnum


class Sensitivity(Enum):
    """False alarms aimed at, per 100 000 key-days of clean traffic: choose by how many subjects one has to watch.

    The score an alert needs is −log10 of (that rate a day ÷ buckets a day): a minute's buckets make it 6.2 for HIGH,
    7.2 for NORMAL, 8.2 for LOW. ``make bench-watch`` measures the rate on clean months and says where it is not kept.
    Measured on 100 000 simulated clean keys of 28 days, minute by minute, a seed that nothing was chosen on (2.4
    million key-days; 95 %): CLOSE 1 271 (1 257 to 1 285), HIGH 39 (36 to 41), NORMAL 3.8 (3.1 to 4.7), LOW 1.0 (0.7 to
    1.5). Keys of 30 to 60 days are told of more often: NORMAL 29 (20 to 39); see README.md.
    """

    CLOSE = 3333
    """For some dozens of series that a person follows: one false alarm a month and subject."""
    HIGH = 100
    NORMAL = 10
    LOW = 1

    def score(self, buckets_day: int) -> float:
        """−log10 p that a bucket needs, in [0, 12]."""
        margin = LOW_MARGIN if self is Sensitivity.LOW else 0.0
        return math.log10(buckets_day * 100_000 / self.value) + margin


LOW_MARGIN = 0.5
"""What is as rare as LOW wants it is less rare than a model says. Cumulative sums are then told at their cap alone."""


class Kind(IntEnum):
    """What was seen. The first four mean too much, the others too little."""

    SPIKE = 1
    BURN = 2
    NEWCOMER = 3
    LOSS = 4
    DROP = 5
    SILENCE = 6


class Form(Enum):
    """How a measure is expected: by the clock, by its exposure, or not at all."""

    COUNT = "count"
    """Calls, tokens, spend: so much a bucket, by hour of the week."""
    RATIO = "ratio"
    """Errors of calls, milliseconds of calls: so much per unit of exposure. No season, no silence."""
    LOSS = "loss"
    """Cost over charge, reported cost against cost: expected to be nothing; any amount over the tolerance counts."""


@dataclass(frozen=True)
class Measure:
    """One measure of all subjects. ``gate_floor`` and ``gate_enough`` are in the currency."""

    name: str = "calls"
    form: Form = Form.COUNT
    falls: bool = True
    """Too little is an alarm as well."""
    gate_floor: float = 1.0
    """Less than this is never an alert: 1 USD."""
    gate_enough: float = 100.0
    """More than this is an alert even when it is less than GATE_DAY_SHARE of the subject's day: 100 USD."""
    gate_values: float = 0.0
    """The floor, in values, of what has no price: 20 errors, say."""
    tolerance: float = 0.01
    """LOSS only: share of the exposure that may be lost."""


@dataclass(frozen=True)
class Settings:
    bucket_s: int = 60
    sensitivity: Sensitivity = Sensitivity.NORMAL

    @property
    def buckets_hour(self) -> int:
        return 3600 // self.bucket_s

    @property
    def buckets_day(self) -> int:
        return 86400 // self.bucket_s

    def buckets(self, days: float) -> int:
        """So many days; an integer, as ages are: comparing them to a float takes five times as long."""
        return int(days * self.buckets_day)

    @property
    def score(self) -> float:
        """−log10 p that an alert needs. Rounded, as a library's logarithm may differ in its last bit."""
        return round(self.sensitivity.score(self.buckets_day), 6)

    @property
    def close(self) -> bool:
        return self.sensitivity is Sensitivity.CLOSE

    @property
    def quiet(self) -> bool:
        """Whether it may tell so little that it waits until it knows whom it tells of."""
        return self.sensitivity in (Sensitivity.NORMAL, Sensitivity.LOW)

    @property
    def slow_days(self) -> float:
        """Under this age a slow shift is added up and not told."""
        return DRIFT_DAYS if self.quiet else SLOW_DAYS

    def discount(self, half_life_days: float) -> float:
        """What is left of a weight after one bucket. Rounded to twelve digits: ``**`` may differ in its last bit."""
        return round(float(0.5 ** (1 / (half_life_days * self.buckets_day))), 12)


LEVEL_DAYS = 3.0
"""Half-life of the level; a young subject's is its age."""
DISPERSION_DAYS = 7.0
SIZE_DAYS = 7.0
RECENT_DAYS = 1 / 24
"""Half-life of the level that becomes the new normal: an hour."""
DISPERSION_MIN, DISPERSION_MAX = 0.01, 100.0
RESIDUAL_DISPERSION_MAX = 1.0
"""Residuals are measured with no more: a few outbursts of a quiet subject would hide the next one. Its tail knows the
rest."""
TAUGHT_DEVIATIONS = 4.0
"""What a bucket teaches is cut at so many deviations over its expectation."""
TAIL_SHARE = 0.02
"""The tail begins at the residuals' 98 % quantile."""
TAIL_SCORE = 1.69897
"""−log10 TAIL_SHARE."""
TAIL_START_MIN, TAIL_EXCESS_MIN = 2.05, 0.37
"""The standard normal's quantile and mean excess there: no subject's tail is thought lighter than that."""
TAIL_EXCESS_PRIOR, TAIL_PRIOR_COUNT, TAIL_MEMORY = 0.45, 10.0, 400.0
TAIL_EXCESS_CUT = 8.0
SHIFT_UP, SHIFT_SLOW, SHIFT_OFTEN, SHIFT_DOWN = 2.0, 1.4, 6.0, 1 / 1.5
"""The ratio to the expectation that each cumulative sum waits for: of buckets, of whole hours, of how many buckets are
in the tail, of a drop."""
PEAK_CALIBRATED, PEAK_CALIBRATED_SLOW, PEAK_CALIBRATED_OFTEN, PEAK_CALIBRATED_FALLS = 4.0, 2.5, 1.6, 2.5
"""Mean daily maximum of a cumulative sum whose model is right."""
PEAK_CALIBRATED_SLOW_WARY = 1.25
"""... of whole hours, but for CLOSE: hours of a day move together. With 2.5, clean keys of 30 to 60 days were told of
ten times as often as NORMAL promises."""
PEAK_PRIOR, PEAK_PRIOR_OFTEN, PEAK_PRIOR_FALLS, PEAK_PRIOR_SPIKE, PEAK_GAIN_MIN = 4.0, 3.0, 8.0, 1.0, 1 / 20
PEAK_PRIOR_DRIFT, DRIFT_CUT = 0.05, 1.5
"""Mean daily maximum of the squared drift, before it is known; an hour counts so many times the level at most."""
YOUNG_DAYS = 1.0
"""Under this age a subject is judged by what newcomers do."""
FIRST_WEEK_DAYS, NEW_SHARE = 7.0, 2.0
"""Under this age a count's score is at most so many times what its spend scores among newcomers: no more is known."""
WEEK_DAYS, WEEK_DAYS_CLOSE, WEEK_ALLOWANCE = 21.0, 5.0, 1.6
"""Until a subject has shown three weeks, its burn is measured against so many times the expectation. A first Monday
that is told is an alarm a subject: what CLOSE is allowed in a month, but for the first days, which know nothing."""
FALLS_DAYS, STEADY_DAYS, STEADY_DISPERSION = 14.0, 8.0, 0.05
"""A weekend is no silence: too little is judged once a subject has shown two weekends. CLOSE judges one whose whole
hours have kept to a fifth of what was expected, weekend and all, after the first."""
DOUBT_DISPERSION, DOUBT_DAYS, DOUBT_SHARE = 0.3, 28.0, 0.75
"""What is found of a subject under that age whose whole hours stray by over half from what was expected (an office's,
until they are known) counts three quarters at NORMAL and LOW: its sums are not told, its leaks are."""
SLOW_DAYS = 21.0
"""Under this age, before each hour of the week was seen three times, a slow shift is added up and not told at HIGH and
CLOSE."""
DRIFT_DAYS = 28.0
"""A drift is told of subjects of this age, and a slow shift too at NORMAL and LOW: before, a weekend may be one."""
HELD_DAYS = 42.0
"""From WEEK_DAYS to this age a slow burn's scale is 1 at least; but for CLOSE it stays so."""
SEASON_DAYS = 3.0
"""Under this age the hours of its day are not known well enough to add up what is over them."""
NEWCOMER_START, NEWCOMER_EXCESS = 1.0, 0.5
"""Before newcomers are known: 98 % of their buckets are under 1 USD, with a Pareto tail of exponent 2 over it."""
GATE_DAY_SHARE = 0.1
"""An alert's excess is a tenth of the subject's typical day at least."""
QUIET_MINUTES = 30.0
"""An alert closes after so much calm; what begins sooner is the same alert."""
REPEAT_HOURS, REPEAT_SCORE = 12.0, 1.0
"""What begins within so many hours of an episode's end is told if it is ten times as unlikely as it must be else."""
NEW_NORMAL_HOURS, UNTOLD_HOURS = 6.0, 24.0
WORSE = 5.0
"""An open alert is told again when its excess is so many times what was told last."""
LATE_SHARE = 0.2
"""A bucket with a greater share of old events is a backfill: it teaches, and is not judged."""
GROUP_SHARE, GROUP_KEYS, GROUP_VOTE = 0.2, 5, 3.0
"""One alert on the group when a fifth of its active subjects, and five at least, score 3 or more in one direction."""
GROUP_FACTOR = 5.0
"""A subject that moves so many times as far as its group's median has an alert of its own."""
