"""usage.market: each model at each provider: errors, 429s, time to first token, and what is lost on its calls."""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import MARKET, WATCH_STATE_MARKET
from tokenmeter.flow.columns.decode import INDEX
from tokenmeter.flow.watch.exact import Longs
from tokenmeter.flow.watch.feed import Feed, Lines, Watched, doubles, late, who
from tokenmeter.flow.watch.settings import Form, Measure
from tokenmeter.flow.watch.subjects import Subject

ERRORS_ENOUGH = 20.0
"""Fewer errors than this are never an alert."""
SLOW_MS_ENOUGH = 20_000.0
"""... and a delay of less than this, added up over its calls."""

MEASURES = (
    Watched(Measure("errors", Form.RATIO, falls=False, gate_values=ERRORS_ENOUGH), "errors", {"exposure": "calls"}),
    Watched(
        Measure("rate_limited", Form.RATIO, falls=False, gate_values=ERRORS_ENOUGH),
        "rate_limited",
        {"exposure": "calls"},
    ),
    Watched(
        Measure("first_token_ms", Form.RATIO, falls=False, gate_values=SLOW_MS_ENOUGH),
        "latency",
        {"exposure": "latency_calls", "squares": "latency_squares"},
    ),
    Watched(Measure("loss", Form.LOSS, falls=False), "loss", {"exposure": "sold", "paid": "loss"}),
)
COLUMNS = ("calls", "errors", "rate_limited", "latency", "latency_calls", "latency_squares", "loss", "sold")


def read(frame: pl.DataFrame, appended_at_ms: Longs) -> Lines:
    """See Feed. Cost and charge are compared where every call of a line has both, in one currency."""
    usable = frame.filter(pl.col("events") > 0)
    place = usable[INDEX].to_numpy()
    number, known = who(usable, ["model", "provider"], ["currency"])
    subjects: list[tuple[Subject, ...]] = [
        (Subject("model_provider", f"{model} at {provider}", "", currency or "", model),)
        for model, provider, currency in known.iter_rows()
    ]
    comparable = (
        (pl.col("unpriced") == 0)
        & (pl.col("uncosted") == 0)
        & (pl.col("byok") == 0)
        & (pl.col("currency") == pl.col("cost_currency"))
    ).fill_null(False)
    charge, cost = pl.col("charge").cast(pl.Float64), pl.col("cost").cast(pl.Float64)
    latency, timed = pl.col("latency_sum_ms").cast(pl.Float64), pl.col("latency_calls")
    columns = doubles(
        usable,
        pl.col("events"),
        (pl.col("errors") - pl.col("rate_limited")).clip(0),
        pl.col("rate_limited"),
        latency,
        timed,
        # A line has the sum alone: as if the times were exponential.
        pl.when(timed > 0).then(2 * latency.pow(2) / timed).otherwise(0.0),
        pl.when(comparable).then((cost - charge).clip(0)).otherwise(0.0),
        pl.when(comparable).then(charge).otherwise(0.0),
    )
    named = dict(zip(COLUMNS, columns, strict=True))
    return Lines(place, number, subjects, late(usable, appended_at_ms[place]), named)


FEED = Feed(MARKET, WATCH_STATE_MARKET, "market_line", MEASURES, COLUMNS, 1, read)
