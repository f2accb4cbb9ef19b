"""Tokens of each UTC day and offer, and how many of them apps with a name and OpenClaw used; weeks add up exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenmeter.stack.simulate.shares import Real, Whole, divide_each
from tokenmeter.stack.simulate.weekly import Weekly

WEEKDAYS = (1.05, 1.08, 1.08, 1.06, 1.02, 0.87, 0.84)
"""Monday to Sunday."""
DAY_NOISE = 0.05
AFFINITY_NOISE = 0.25
"""How differently apps like the offers, as a standard deviation of the logarithm."""
AFFINITY_MAX = 1.6
"""An app's share of an offer's tokens stays within them."""


@dataclass(frozen=True)
class Daily:
    """A row for each day on which an offer is used: ``total`` = ``named`` + what gives no name; ``openclaw`` is of
    ``named``."""

    day: Whole
    """Ordinal of the UTC day."""
    offer: Whole
    total: Whole
    named: Whole
    openclaw: Whole


def daily(weeks: Weekly, seed: int) -> Daily:
    """The days of all weeks."""
    chance = np.random.default_rng((seed, 1))
    counts = weeks.by_offer.shape
    group = np.repeat(np.arange(weeks.by_offer.size), 7)
    weights = np.tile(np.array(WEEKDAYS), weeks.by_offer.size) * np.exp(chance.normal(0, DAY_NOISE, group.size))
    total = divide_each(weeks.by_offer.reshape(-1), group, weights)
    used = np.flatnonzero(total)
    week, offer = np.divmod(group[used], counts[1])
    first = np.array([monday.toordinal() for monday in weeks.mondays])
    total = total[used]
    named = divide_each(weeks.named_apps, week, total * _affinity(chance, counts[1])[offer])
    openclaw = divide_each(weeks.openclaw, week, named * _affinity(chance, counts[1])[offer])
    assert bool((openclaw <= named).all()) and bool((named <= total).all()), "a part is larger than the whole"
    return Daily(first[week] + used % 7, offer, total, named, openclaw)


def _affinity(chance: np.random.Generator, offers: int) -> Real:
    drawn = np.exp(chance.normal(0, AFFINITY_NOISE, offers))
    return np.clip(drawn, 1 / AFFINITY_MAX, AFFINITY_MAX)
