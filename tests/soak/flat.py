"""Whether a series of samples is flat: how much its straight line rises over the last three quarters of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SETTLED_SHARE = 0.25
"""Of the time; before, processes warm up."""
SAMPLES_MIN = 12


@dataclass(frozen=True)
class Bound:
    """The line may rise by ``absolute`` plus ``share`` of where it begins."""

    absolute: float
    share: float = 0.0


BOUNDS: dict[str, Bound] = {
    "rss_mb": Bound(30, 0.15),
    "threads": Bound(2),
    "files": Bound(6),
    "lag": Bound(2_000),
}
"""Identities in the horizon follow the day's rhythm and are held against the traffic instead: see ids_max."""


def settled(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(time, value) of the last three quarters of the time."""
    if not samples:
        return []
    first, last = samples[0][0], samples[-1][0]
    return [sample for sample in samples if sample[0] >= first + SETTLED_SHARE * (last - first)]


def rise(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(where the least-squares line through the samples begins, how much it rises until their end)."""
    times, values = zip(*samples, strict=True)
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    slope = sum((at - middle) * (value - mean) for at, value in samples) / spread if spread else 0.0
    return mean + slope * (times[0] - middle), slope * (times[-1] - times[0])


def problems(worker: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """What is not flat; too few samples are a problem as well."""
    found = []
    for name, bound in BOUNDS.items():
        samples = settled(series[name])
        if len(samples) < SAMPLES_MIN:
            found.append(f"{worker} {name}: only {len(samples)} samples")
            continue
        begin, rises = rise(samples)
        allowed = bound.absolute + bound.share * max(0.0, begin)
        if rises > allowed:
            found.append(f"{worker} {name}: rises by {rises:.0f} from {begin:.0f}, allowed {allowed:.0f}")
    return found


def ids_max(rate: float, horizon_s: float) -> float:
    """Identities that a horizon may hold at most, at the day's highest rate; it is swept a few times a horizon."""
    return 2.0 * rate * horizon_s
