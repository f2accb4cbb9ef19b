"""Tokens of each week: of the market, of each offer and of the apps; known ones exactly, the rest in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from tokenmeter.stack.simulate.facts import ORIGINS, Offer, Pin, Week
from tokenmeter.stack.simulate.shares import Real, Whole, divide

NOISE = 0.07
"""How far a week's strength of an offer strays, as a standard deviation of its logarithm."""
RAMP_WEEKS = 1.5
BLEND_WEEKS = 6
"""From how far a pinned week draws its neighbours."""
BELOW_PINS = 0.97
"""The largest offer that is not pinned, in parts of the smallest that is."""
CAP_ROUNDS = 60


@dataclass(frozen=True)
class Weekly:
    """``by_offer[week, offer]``, ``named_apps[week]`` and ``openclaw[week]``, in tokens."""

    mondays: tuple[date, ...]
    by_offer: Whole
    named_apps: Whole
    openclaw: Whole


def mondays(first: date, last: date) -> tuple[date, ...]:
    """Of the ISO weeks that have days in [first, last]."""
    at = first - timedelta(days=first.weekday())
    return tuple(at + timedelta(weeks=n) for n in range((last - at).days // 7 + 1))


def between(known: Sequence[Week], figure: Callable[[Week], int], wanted: Sequence[date]) -> Whole:
    """A figure of each wanted week: as known, or on the line of constant growth between its neighbours."""
    at = np.array([week.monday.toordinal() for week in known], np.float64)
    logs = np.log([max(figure(week), 1) for week in known])
    made = np.exp(np.interp([day.toordinal() for day in wanted], at, logs)).astype(np.int64)
    exact = {week.monday: figure(week) for week in known}
    return np.array(
        [exact.get(day, value if value > 1 else 0) for day, value in zip(wanted, made.tolist(), strict=True)]
    )


def weekly(
    offers: Sequence[Offer], known: Sequence[Week], pins: Sequence[Pin], wanted: tuple[date, ...], seed: int
) -> Weekly:
    """The market of these weeks. Another seed strays otherwise between what is known and alike at it."""
    chance = np.random.default_rng(seed)
    strength = _strength(offers, wanted, chance)
    by_offer = np.zeros((len(wanted), len(offers)), np.int64)
    index = {(offer.model, offer.variant): number for number, offer in enumerate(offers)}
    pinned = {day: {index[pin.model, pin.variant]: pin.tokens for pin in pins if pin.monday == day} for day in wanted}
    all_pins = {
        pin.monday: {index[p.model, p.variant]: p.tokens for p in pins if p.monday == pin.monday} for pin in pins
    }
    for number, origin in enumerate(ORIGINS):
        mine = np.array([place for place, offer in enumerate(offers) if offer.origin == origin])
        totals = between(known, lambda week, number=number: week.by_origin[number], wanted)  # type: ignore[misc]
        for week, day in enumerate(wanted):
            exact = np.array([pinned[day].get(place, -1) for place in mine.tolist()])
            weights = _drawn(strength[week, mine], day, int(totals[week]), mine, all_pins)
            cap = BELOW_PINS * min(pinned[day].values()) if pinned[day] else None
            by_offer[week, mine] = _origin_week(int(totals[week]), weights, exact, cap)
    return Weekly(
        wanted,
        by_offer,
        between(known, lambda week: week.named_apps, wanted),
        between(known, lambda week: week.openclaw, wanted),
    )


def _strength(offers: Sequence[Offer], wanted: Sequence[date], chance: np.random.Generator) -> Real:
    """Of each week and offer: none before its launch, a quick rise, then a slow fall that strays a little."""
    age = np.array([[(day - offer.launched).days / 7 for offer in offers] for day in wanted])
    peak, half_life = (np.array([getattr(offer, name) for offer in offers]) for name in ("strength", "half_life_weeks"))
    stray = np.exp(np.cumsum(chance.normal(0, NOISE, age.shape), axis=0))
    stray /= stray.mean(axis=0)
    shape = peak * (1 - np.exp(-(age + 1) / RAMP_WEEKS)) * np.exp2(-age / half_life) * stray
    return np.asarray(np.where(age > -1, np.maximum(shape, 0), 0))


def _drawn(strength: Real, day: date, total: int, mine: Whole, pins: dict[date, dict[int, int]]) -> Real:
    """Tokens in proportion to ``strength``, drawn towards what a pinned week nearby says."""
    natural = np.asarray(strength * (total / strength.sum()))
    near = min(pins, key=lambda monday: abs((monday - day).days), default=None)
    if near is None:
        return natural
    pull = max(0.0, 1 - abs((near - day).days) / 7 / BLEND_WEEKS)
    wanted = np.array([pins[near].get(place, 0) for place in mine.tolist()], np.float64)
    drawn = (natural > 0) & (wanted > 0)
    return np.asarray(np.where(drawn, natural ** (1 - pull) * np.maximum(wanted, 1) ** pull, natural))


def _origin_week(total: int, weights: Real, exact: Whole, cap: float | None) -> Whole:
    """Tokens of the offers of one origin: the pinned ones as they are, the others share what is left, under ``cap``."""
    made = np.where(exact >= 0, exact, 0)
    free = np.where(exact >= 0, 0.0, weights)
    rest = total - int(made.sum())
    if cap is not None:
        for _ in range(CAP_ROUNDS):
            free = np.minimum(free * (rest / free.sum()), cap)
    made += divide(rest, free)
    return np.asarray(made, np.int64)
