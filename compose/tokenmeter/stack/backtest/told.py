"""The alerts of a history, each with the sensitivities that would have told it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from tokenmeter.flow.watch.backtest import Series, backtest
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Kind, Measure, Sensitivity

SHOWN_MAX = 200
Found = dict[tuple[int, str, str], dict[str, tuple[float, float, float, float]]]
"""(since, subject, kind): sensitivity: (seen, expected, score, amount)."""


def told(
    series: Series,
    sensitivities: Iterable[Sensitivity],
    bucket_s: int,
    measure: str,
    say: Callable[[str], None] = lambda text: None,
) -> Found:
    """Replay the history once for each sensitivity."""
    found: Found = {}
    for sensitivity in sensitivities:
        names, alerts = backtest(series, sensitivity, bucket_s, Measure(measure))
        opened = alerts[(alerts["told"] == Told.OPENED) & (alerts["row"] >= 0)]
        say(f"{sensitivity.name.lower()}: {len(opened)} alerts of {len(names)} subjects")
        for one in opened:
            at = (int(one["bucket"]) * bucket_s, names[one["row"]], Kind(int(one["kind"])).name.lower())
            figures = tuple(float(one[name]) for name in ("seen", "expected", "score", "amount"))
            found.setdefault(at, {})[sensitivity.name.lower()] = figures  # type: ignore[assignment]
    return dict(sorted(found.items()))


def table(found: Found) -> Table:
    """One alert a row, in the order of time; the last SHOWN_MAX."""
    made = Table(
        Column("at", no_wrap=True),
        "subject",
        "kind",
        "seen",
        "expected",
        "score",
        "amount",
        Column("told at", min_width=7),
        box=SIMPLE_HEAD,
    )
    for (at_s, subject, kind), by in list(found.items())[-SHOWN_MAX:]:
        seen, expected, score, amount = next(iter(by.values()))
        figures = (f"{seen:,.0f}", f"{expected:,.0f}", f"{score:.1f}", f"{amount:,.2f}")
        at = f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M}Z"
        made.add_row(at, Text(subject, overflow="fold"), kind, *figures, ", ".join(by))
    return made
