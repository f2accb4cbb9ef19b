"""The last day of an alert's subject, minute by minute: what it did, what was expected, above what it is a spike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Alert
from tokenmeter.flow.decode import decode
from tokenmeter.flow.logreader import LogReader
from tokenmeter.flow.watch.band import band
from tokenmeter.flow.watch.checkpoint import newest, restored
from tokenmeter.flow.watch.exact import Doubles, Longs
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.flow.watch.subjects import Subject
from tokenmeter.flow.watch_app import FEEDS

BEFORE, AFTER = timedelta(hours=23), timedelta(hours=1)
MOVERS = 3


@dataclass(frozen=True)
class Day:
    """Buckets in order; every column has their length."""

    buckets: Longs
    bucket_s: int
    seen: Doubles
    expected: Doubles
    spike: Doubles
    learned_until: datetime
    movers: list[tuple[str, float]]
    """Which model (of a key or customer) or app (of a model) made what was seen since it began, and its share."""


def day_of(log: LogReader, alert: Alert) -> Day:
    """Read the lines of the alert's partition. Misconfigured when there is nothing to show."""
    feed = FEEDS.get(alert.topic or "")
    if feed is None or alert.partition is None or alert.measure is None or alert.subject_kind == "group":
        raise Misconfigured(f"alert {alert.alert_id} is of no single subject that the watch follows")
    plan, number = Settings(), [one.measure.name for one in feed.measures].index(alert.measure)
    found = newest(log, feed, alert.partition)
    watch = None if found is None else restored(feed, plan, *found)
    subject = Subject(alert.subject_kind, alert.subject_id, alert.account_id)
    row = None if watch is None else watch.subjects.find(subject)
    if found is None or watch is None or row is None:
        raise Misconfigured(f"the watch knows no {subject.kind} {subject.subject_id} any more")
    begin = int((alert.broker_at - BEFORE).timestamp()) // plan.bucket_s
    buckets = np.arange(begin, int((alert.broker_at + AFTER).timestamp()) // plan.bucket_s, dtype=np.int64)
    watched = feed.measures[number]
    sums = {name: np.zeros(len(buckets)) for name in feed.columns}
    moved: dict[str, float] = {}
    by, since = ("model" if alert.account_id else "app_id"), int(alert.since.timestamp()) // plan.bucket_s - begin
    start = log.offset_at(feed.topic, alert.partition, begin * plan.bucket_s * 1000)
    stop = log.offset_at(feed.topic, alert.partition, (int(buckets[-1]) + 1) * plan.bucket_s * 1000)
    end = log.end(feed.topic, alert.partition) if stop is None else stop
    for batch in log.read(feed.topic, alert.partition, end if start is None else start, end):
        frame, at_ms = decode(batch.values, feed.record).frame, batch.appended_at_ms()
        lines = feed.read(frame, at_ms)
        mine = np.array([any(one.key == subject.key for one in some) for some in lines.subjects], bool)[lines.who]
        places = at_ms[lines.place] // 1000 // plan.bucket_s - begin
        mine &= (places >= 0) & (places < len(buckets))
        for name, column in lines.columns.items():
            np.add.at(sums[name], places[mine], column[mine])
        late = mine & (places >= since)
        names = frame[lines.place][by].fill_null("none").filter(pl.Series(late))
        for name, value in zip(names, lines.columns[watched.value][late], strict=True):
            moved[name] = moved.get(name, 0.0) + float(value)
    exposure = sums[watched.columns["exposure"]] if "exposure" in watched.columns else np.ones(len(buckets))
    expected, spike = band(watch.detectors[number], row, buckets, exposure)
    total = sum(moved.values()) or 1.0
    movers = sorted(((name, value / total) for name, value in moved.items()), key=lambda one: -one[1])[:MOVERS]
    learned: dict[str, Any] = {
        "learned_until": datetime.fromtimestamp((found[0].open_bucket or 0) * plan.bucket_s, UTC)
    }
    return Day(buckets, plan.bucket_s, sums[watched.value], expected, spike, movers=movers, **learned)
