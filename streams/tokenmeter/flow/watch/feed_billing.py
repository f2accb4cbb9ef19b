"""usage.billing: customers and their keys, in tokens and calls, each with the money they cost, and how far off our cost
is from what upstreams report."""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import BILLING, WATCH_STATE
from tokenmeter.flow.columns.decode import INDEX
from tokenmeter.flow.watch.exact import Longs
from tokenmeter.flow.watch.feed import Feed, Lines, Watched, doubles, late, who
from tokenmeter.flow.watch.settings import Form, Measure
from tokenmeter.flow.watch.subjects import Subject

MEASURES = (
    # What costs money; the tokens of a call vary by orders of magnitude, and tokens_squared says how much.
    Watched(Measure("tokens"), "tokens", {"squares": "squares", "paid": "paid"}),
    # What many small calls do: a runaway loop, a key that is tried out.
    Watched(Measure("calls"), "calls", {"paid": "paid"}),
    # A price list that is out of date: a model's users see it together, and it is told of the model.
    Watched(
        Measure("price_mismatch", Form.LOSS, falls=False), "mismatch", {"exposure": "reported", "paid": "mismatch"}
    ),
)
REPORTS_IN = "USD"
"""The currency of ``reported_cost``. Lines in another are not compared: a subject's money is in one currency."""


def read(frame: pl.DataFrame, appended_at_ms: Longs) -> Lines:
    """See Feed. A correction is no call: lines that take back are left out."""
    tokens = pl.col("input_tokens") + pl.col("output_tokens")
    usable = frame.filter((pl.col("events") > 0) & (tokens >= 0) & (pl.col("charge").fill_null(0) >= 0))
    place = usable[INDEX].to_numpy()
    number, known = who(usable, ["customer_id", "api_key_id"], ["currency", "model"])
    subjects = []
    for customer, key, currency, model in known.iter_rows():
        # Who uses a model moves with it: a meter or provider that stands still is one alert, not one a customer.
        both = [Subject("customer", customer, customer, currency or "", model)]
        if key is not None:
            both.append(Subject("key", key, customer, currency or "", model))
        subjects.append(tuple(both))
    squares = pl.coalesce(pl.col("tokens_squared").cast(pl.Float64), tokens.cast(pl.Float64).pow(2) / pl.col("events"))
    # ``reported_calls_cost`` is null when one of them has no cost price: nothing to compare.
    alike = (pl.col("cost_currency") == REPORTS_IN) & (pl.col("currency") == REPORTS_IN)
    ours = pl.when(alike).then(pl.col("reported_calls_cost").cast(pl.Float64))
    reported = pl.when(ours.is_not_null()).then(pl.col("reported_cost").cast(pl.Float64))
    figures = pl.col("events"), tokens, squares, pl.col("charge"), (reported - ours).abs(), reported.abs()
    columns = dict(zip(COLUMNS, doubles(usable, *figures), strict=True))
    return Lines(place, number, subjects, late(usable, appended_at_ms[place]), columns)


COLUMNS = ("calls", "tokens", "squares", "paid", "mismatch", "reported")
FEED = Feed(BILLING, WATCH_STATE, "billing_line", MEASURES, COLUMNS, 2, read)
