"""The columnar encoder against the one that writes record by record."""

from __future__ import annotations

import random
from decimal import Decimal

import polars as pl

from support.events import event, value
from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.rating import amount
from tokenmeter.flow.columns import columnar_avro
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.lines import lines
from tokenmeter.flow.rate.unrated import Unrated


def test_the_columnar_encoder_writes_what_the_record_encoder_writes() -> None:
    frame = decode([value(number) for number in range(500)]).frame
    events = totals.derive(Unrated().rate(frame))
    chance = random.Random(8)
    made = lines([totals.grouped(events, totals.BILLING)], [], Unrated()).billing.with_columns(
        pl.lit(3).alias("partition"), pl.lit(2**40).alias("first_offset")
    )
    amounts = [chance.choice([None, 0, -1, 127, -128, -129, 10**30, -(2**63)]) for _ in range(made.height)]
    made = made.with_columns(
        pl.Series("charge", amounts, dtype=pl.Int128), provisional=pl.Series(amounts, dtype=pl.Int128).is_null()
    )
    encoded = columnar_avro.encode("billing_line", made)
    fields = latest("billing_line").field_names
    rows = [{name: row.get(name) for name in fields} for row in made.iter_rows(named=True)]
    for row in rows:
        for name in ("charge", "reported_cost"):
            row[name] = None if row[name] is None else amount(row[name])
        row["tokens_squared"] = Decimal(row["tokens_squared"])
    assert encoded == [wire.encode("billing_line", row) for row in rows]
    assert sum(wire.decode(v).record["input_tokens"] for v in encoded) == sum(event(n).input_tokens for n in range(500))


def test_a_page_of_nothing_but_repeats_has_no_lines() -> None:
    made, place = lines([], [], Unrated()), {"partition": pl.lit(3), "first_offset": pl.lit(0)}
    assert columnar_avro.encode("billing_line", made.billing.with_columns(**place)) == []
    assert columnar_avro.encode("market_line", made.market.with_columns(**place)) == []
    assert columnar_avro.encode("resale_line", made.resale.with_columns(**place)) == []
