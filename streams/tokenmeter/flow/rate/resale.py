"""The lines of the levels above the customers, from a page's billing lines: "Levels" of ``pricing.md``."""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import RESALE_KEYS
from tokenmeter.events.rating import levels_of
from tokenmeter.flow.rate.charging import used
from tokenmeter.flow.rate.ratings import Ratings

COLUMNS = tuple(name for name in latest("resale_line").field_names if name not in ("partition", "first_offset", "line"))
_LEVELS: dict[str, pl.DataType] = {
    "chain": pl.String(),
    "account_id": pl.String(),
    "seller_id": pl.String(),
    "level": pl.Int32(),
    "price_id": pl.String(),
}
_MEASURES = ("events", "errors", *QUANTITY_FIELDS)


def levels(chain: str, ratings: Ratings) -> list[tuple[str, str, str | None, int, str | None]]:
    """Each level of a line's chain, in the order of ``_LEVELS``; the seller is the next above, none above the last."""
    found = levels_of(chain)
    sellers = [*(level.account_id for level in found[1:]), None]
    return [
        (chain, level.account_id, seller, number, ratings.known(level.price_id))
        for number, (level, seller) in enumerate(zip(found, sellers, strict=True), 1)
    ]


def resale(billing: pl.DataFrame, ratings: Ratings) -> pl.DataFrame:
    """See ``tokenmeter.flow.rate.rated.Rater.resale``."""
    chained = billing.filter(pl.col("chain").is_not_null())
    rows = [row for chain in chained["chain"].unique(maintain_order=True) for row in levels(chain, ratings)]
    above = pl.DataFrame(rows, schema=_LEVELS, orient="row")
    lines = chained.drop("price_id").join(above, on="chain", how="inner")
    totals = lines.group_by(RESALE_KEYS).agg(pl.col(_MEASURES).sum()).sort(RESALE_KEYS, nulls_last=False)
    ids = totals["price_id"].unique().to_list()
    priced = pl.DataFrame(
        [(id_, ratings.units.line(id_), ratings.currency(id_), ratings.provisional(id_)) for id_ in ids],
        schema={"price_id": pl.String, "_line": pl.Int32, "currency": pl.String, "provisional": pl.Boolean},
        orient="row",
    )
    totals = totals.join(priced, on="price_id", how="left", nulls_equal=True, maintain_order="left")
    calls = used(totals, pl.col("events") - pl.col("errors"))
    charge = ratings.units.charge(calls, totals["_line"].to_numpy()).alias("charge")
    return totals.with_columns(charge).select(COLUMNS)
