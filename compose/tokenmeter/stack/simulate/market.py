"""The simulated market as rows: what the facts say, divided down to lines and calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from tokenmeter.stack.simulate import facts
from tokenmeter.stack.simulate.calls import calls
from tokenmeter.stack.simulate.daily import daily
from tokenmeter.stack.simulate.lines import Span, lines
from tokenmeter.stack.simulate.weekly import mondays, weekly

MONTHS = 18


@dataclass(frozen=True)
class Market:
    """``lines`` for simulated.usage_market, ``calls`` for simulated.usage_events."""

    lines: pl.DataFrame
    calls: pl.DataFrame


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last."""
    at = day.year * 12 + day.month - 1 - months
    first = date(at // 12, at % 12 + 1, 1)
    after = date((at + 1) // 12, (at + 1) % 12 + 1, 1)
    return min(first.replace(day=1) + timedelta(days=day.day - 1), after - timedelta(days=1))


def span(now: datetime, months: int) -> Span:
    """So many months up to the last full hour, in UTC."""
    until = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Span(months_before(until.date(), months), until)


def market(over: Span, seed: int) -> Market:
    """The rows of that time. The same seed gives the same rows; a later end only adds to them."""
    offers = facts.offers()
    weeks = weekly(offers, facts.weeks(), facts.pins(), mondays(over.first, over.until.date()), seed)
    made = lines(daily(weeks, seed), offers, facts.apps(), over, seed)
    return Market(made, calls(made, over.until, seed))
