"""A history as the watch's detector takes it: a subject's value of each bucket."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from clickhouse_connect.driver.client import Client

from tokenmeter.events.errors import Misconfigured
from tokenmeter.flow.watch.backtest import Series
from tokenmeter.store.statement import sql

CSV_COLUMNS = ("at", "subject", "value")


def from_clickhouse(client: Client, since: datetime, bucket_s: int, measure: str) -> Series:
    """Customers and keys, as their lines reached the watch; ``measure`` is tokens or calls."""
    asked = {"bucket_s": bucket_s, "since_s": int(since.timestamp())}
    found = client.query(sql("watch_history"), parameters=asked).result_rows
    schema = ("customer_id", "api_key_id", "bucket", "calls", "tokens", "squares", "paid")
    rows = pl.DataFrame(found, schema=list(schema), orient="row", infer_schema_length=None)
    if not rows.height:
        raise Misconfigured(f"ClickHouse has no line since {since:%Y-%m-%d %H:%M}Z", hint="an earlier --since")
    customer = pl.concat_str(pl.lit("customer "), "customer_id")
    key = pl.concat_str(pl.lit("key "), "api_key_id", pl.lit(" of "), "customer_id")
    sums = [pl.col(name).cast(pl.Float64).sum() for name in ("calls", "tokens", "squares", "paid")]
    keys = rows.filter(pl.col("api_key_id").is_not_null()).group_by(key.alias("subject"), "bucket").agg(sums)
    both = pl.concat([keys, rows.group_by(customer.alias("subject"), "bucket").agg(sums)]).sort("bucket", "subject")
    squares = both["squares"].to_numpy() if measure == "tokens" else None
    return Series(
        both["subject"].to_list(),
        both["bucket"].cast(pl.Int64).to_numpy(),
        both[measure].to_numpy(),
        squares,
        both["paid"].to_numpy(),
    )


def from_csv(path: Path, bucket_s: int) -> Series:
    """Columns ``at`` (a time with or without a zone, UTC, or seconds since 1970), ``subject``, ``value``, maybe
    ``paid``. Misconfigured says what is wrong with it."""
    try:
        rows = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from error
    if missing := [name for name in CSV_COLUMNS if name not in rows.columns]:
        raise Misconfigured(f"{path} has no column {', '.join(missing)}", hint="at,subject,value and maybe paid")
    try:
        if rows["at"].dtype.is_numeric():
            seconds = rows["at"].cast(pl.Float64)
        else:
            times = rows["at"].str.strip_suffix("Z").str.replace(" ", "T").str.to_datetime(time_zone="UTC")
            seconds = times.dt.epoch("ms") / 1000
        value = rows["value"].cast(pl.Float64)
        paid = rows["paid"].cast(pl.Float64).to_numpy() if "paid" in rows.columns else None
    except pl.exceptions.PolarsError as error:
        raise Misconfigured(f"{path}: {error}", hint="at,subject,value and maybe paid") from error
    buckets = np.floor_divide(seconds.to_numpy(), bucket_s).astype(np.int64)
    return Series(rows["subject"].cast(pl.String).to_list(), buckets, value.to_numpy(), None, paid)
