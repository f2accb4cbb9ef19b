"""Market lines of the simulated days, in columns as the loader inserts them.

A day's tokens of an offer are three pots (no app's name, OpenClaw, other apps); each is split into lines whose sum is
the pot. Large offers have more lines, and the last two months a line for most hours: leaderboards look at hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl

from tokenmeter.stack.simulate.daily import Daily
from tokenmeter.stack.simulate.facts import App, Offer
from tokenmeter.stack.simulate.figures import figures
from tokenmeter.stack.simulate.places import countries, providers
from tokenmeter.stack.simulate.shares import Real, Whole, divide_each

FINE_DAYS = 61
LEADERS, FOLLOWERS = 40, 120
"""Offers of a day with many lines, and with some."""
LINES = {"old": ((3, 1, 5), (1, 1, 2), (1, 1, 1)), "fine": ((24, 12, 24), (6, 2, 6), (2, 1, 2))}
"""Lines a day by size of offer, each for the pots."""
HOURS = tuple(
    0.62 + 0.38 * float(np.sin((hour - 8) / 24 * 2 * np.pi)) ** 1 + 0.1 * (hour in (14, 15, 16)) for hour in range(24)
)
"""How much of a day is used in each UTC hour, roughly."""
LINE_NOISE = 0.35
EPOCH = date(1970, 1, 1).toordinal()
NO_APP, OPENCLAW, OTHERS = range(3)


@dataclass(frozen=True)
class Span:
    """UTC days from ``first`` on, and whole hours before ``until``."""

    first: date
    until: datetime


def lines(days: Daily, offers: Sequence[Offer], apps: Sequence[App], span: Span, seed: int) -> pl.DataFrame:
    """Every line of the span, in time order, each day's a page of partition 0."""
    chance = np.random.default_rng((seed, 2))
    row, pot, tokens = _pots(days)
    counts = np.minimum(_lines_of(days, span)[row, pot], np.maximum(tokens, 1))
    group = np.repeat(np.arange(len(row)), counts)
    step = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    hour = ((step + chance.random(len(group))) * (24 / counts[group])).astype(np.int64)
    weights = np.array(HOURS)[hour] * np.exp(chance.normal(0, LINE_NOISE, len(group)))
    used = divide_each(tokens, group, weights)
    day, offer = days.day[row[group]], days.offer[row[group]]
    seconds = (day - EPOCH) * 86_400 + hour * 3_600
    inside = (day >= span.first.toordinal()) & (seconds < int(span.until.timestamp())) & (used > 0)
    order = np.flatnonzero(inside)[np.argsort(seconds[inside], kind="stable")]
    day, offer, used, seconds = day[order], offer[order], used[order], seconds[order]
    kind = pot[group[order]]
    named = _app(apps, day, chance)
    app = np.where(kind == OPENCLAW, 0, named)
    keys = pl.DataFrame(
        {
            "partition": np.zeros(len(order), np.int32),
            "first_offset": (day - EPOCH).astype(np.int64),
            "line": (np.arange(len(order)) - np.searchsorted(day, day, "left")).astype(np.int32),
            "model": _named([one.model for one in offers], offer),
            "provider": providers(offers, offer, chance),
            "app_id": _named([one.name for one in apps], app, kind == NO_APP),
            "variant": _named([one.variant for one in offers], offer),
            "country": countries(offers, offer, chance),
            "occurred_hour": pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "currency": pl.repeat("USD", len(order), eager=True),
            "cost_currency": pl.repeat("USD", len(order), eager=True),
        }
    )
    return keys.hstack(figures(used, offer, offers, chance))


def _pots(days: Daily) -> tuple[Whole, Whole, Whole]:
    """(row of ``days``, which pot, tokens), of what is not empty."""
    tokens = np.stack([days.total - days.named, days.openclaw, days.named - days.openclaw], axis=1)
    row, pot = np.nonzero(tokens)
    return row, pot, tokens[row, pot]


def _lines_of(days: Daily, span: Span) -> Whole:
    """Lines of each row of ``days`` by pot."""
    order = np.lexsort((-days.total, days.day))
    rank = np.empty(len(order), np.int64)
    sorted_days = days.day[order]
    rank[order] = np.arange(len(order)) - np.searchsorted(sorted_days, sorted_days, "left")
    size = (rank >= LEADERS).astype(np.int64) + (rank >= FOLLOWERS)
    fine = days.day > span.until.toordinal() - FINE_DAYS
    return np.where(fine[:, None], np.array(LINES["fine"])[size], np.array(LINES["old"])[size])


def _app(apps: Sequence[App], day: Whole, chance: np.random.Generator) -> Whole:
    """An app other than OpenClaw for each line, as likely as it is large on that day."""
    first, last = int(day.min()), int(day.max()) + 1
    along = np.linspace(0, 1, last - first)
    since = np.array([app.since.toordinal() for app in apps])
    weights: Real = np.array([app.first for app in apps]) * (1 - along[:, None])
    weights = weights + np.array([app.last for app in apps]) * along[:, None]
    weights *= np.arange(first, last)[:, None] >= since
    weights[:, 0] = 0
    reached = np.cumsum(weights, axis=1)
    drawn = chance.random(len(day)) * reached[day - first, -1]
    found = np.empty(len(day), np.int64)
    for one in range(first, last):
        at = slice(*np.searchsorted(day, [one, one + 1]).tolist())
        found[at] = np.searchsorted(reached[one - first], drawn[at], "right")
    return found


def _named(names: Sequence[str], index: Whole, without: np.typing.NDArray[np.bool_] | None = None) -> pl.Series:
    """Names by index, null where ``without``."""
    series = pl.Series(names).gather(index)
    if without is None:
        return series
    return pl.select(pl.when(pl.Series(without)).then(None).otherwise(series)).to_series()
