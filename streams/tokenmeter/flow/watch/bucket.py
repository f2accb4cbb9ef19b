"""What goes into a step and what comes out of it: a bucket of values, the settings, what was found in a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import Doubles, Floats, Mask
from tokenmeter.flow.watch.settings import Measure, Settings


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


def joined(parts: Sequence[NDArray[np.void]], kind: np.dtype[Any]) -> NDArray[np.void]:
    """The records of all parts. Most have none, and ``np.concatenate`` takes 20 us to see that records are alike."""
    some = [part for part in parts if len(part)]
    found = some[0] if len(some) == 1 else np.zeros(sum(map(len, some)), kind)
    first = 0
    for part in some if len(some) > 1 else ():
        found[first : first + len(part)] = part
        first += len(part)
    return found


@dataclass(frozen=True)
class Judged:
    rising: Found
    falling: Found
    newcomers: Floats
    """What each young subject paid."""
