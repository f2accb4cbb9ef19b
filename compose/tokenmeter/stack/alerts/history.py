"""The last day of an alert's subject, minute by minute: what it did, what was expected, above what it is a spike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events.contract import BILLING
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Alert
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.watch.band import band
from tokenmeter.flow.watch.checkpoint import newest, restored
from tokenmeter.flow.watch.exact import Doubles, Longs
from tokenmeter.flow.watch.feeds import FEEDS
from tokenmeter.flow.watch.partition import Watch
from tokenmeter.flow.watch.settings import Settings
from tokenmeter.flow.watch.subjects import Subject
from tokenmeter.kafka.logreader import LogReader

BEFORE, AFTER = timedelta(hours=23), timedelta(hours=1)
MOVERS = 3
MEMBERS_MAX = 500
"""Of a group's users so many, the busiest, are added up."""


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
    """Which model (of a key or customer), app (of a model) or customer (of a whole group) made what was seen since it
    began, and its share."""


def day_of(log: LogReader, alert: Alert) -> Day:
    """Read the lines of the alert's partition. Misconfigured when there is nothing to show."""
    feed = FEEDS.get(alert.topic or "")
    if feed is None or alert.partition is None or alert.measure is None:
        raise Misconfigured(f"alert {alert.alert_id} is of no subject that the watch follows")
    plan, number = Settings(), [one.measure.name for one in feed.measures].index(alert.measure)
    found = newest(log, feed, alert.partition)
    watch = None if found is None else restored(feed, plan, *found)
    members = [] if watch is None else _members(watch, number, alert)
    if found is None or watch is None or not members:
        raise Misconfigured(f"the watch knows no {alert.subject_kind} {alert.subject_id} any more")
    begin = int((alert.broker_at - BEFORE).timestamp()) // plan.bucket_s
    buckets = np.arange(begin, int((alert.broker_at + AFTER).timestamp()) // plan.bucket_s, dtype=np.int64)
    watched = feed.measures[number]
    place_of = {subject.key: place for place, (_, subject) in enumerate(members)}
    names = {watched.value, watched.columns.get("exposure", watched.value)}
    sums = {name: np.zeros((len(members), len(buckets))) for name in names}
    moved: dict[str, float] = {}
    by, since = _mover(alert), int(alert.since.timestamp()) // plan.bucket_s - begin
    start = log.offset_at(feed.topic, alert.partition, begin * plan.bucket_s * 1000)
    stop = log.offset_at(feed.topic, alert.partition, (int(buckets[-1]) + 1) * plan.bucket_s * 1000)
    end = log.end(feed.topic, alert.partition) if stop is None else stop
    for batch in log.read(feed.topic, alert.partition, end if start is None else start, end):
        frame, at_ms = decode(batch.values, feed.record).frame, batch.appended_at_ms()
        lines = feed.read(frame, at_ms)
        whose = [next((place_of[one.key] for one in some if one.key in place_of), -1) for some in lines.subjects]
        member = np.array(whose, np.int64)[lines.who]
        places = at_ms[lines.place] // 1000 // plan.bucket_s - begin
        mine = (member >= 0) & (places >= 0) & (places < len(buckets))
        for name, total in sums.items():
            np.add.at(total, (member[mine], places[mine]), lines.columns[name][mine])
        late = mine & (places >= since)
        movers_of = frame[lines.place][by].fill_null("none").filter(pl.Series(late))
        for name, value in zip(movers_of, lines.columns[watched.value][late], strict=True):
            moved[name] = moved.get(name, 0.0) + float(value)
    # What has no exposure is expected by the clock: ``band`` does not look at it.
    exposure = sums[watched.columns.get("exposure", watched.value)]
    bands = [band(watch.detectors[number], row, buckets, exposure[i]) for i, (row, _) in enumerate(members)]
    expected, spike = np.sum([one.expected for one in bands], axis=0), np.sum([one.high for one in bands], axis=0)
    total_moved = sum(moved.values()) or 1.0
    movers = sorted(((name, value / total_moved) for name, value in moved.items()), key=lambda one: -one[1])[:MOVERS]
    learned: dict[str, Any] = {
        "learned_until": datetime.fromtimestamp((found[0].open_bucket or 0) * plan.bucket_s, UTC)
    }
    return Day(buckets, plan.bucket_s, sums[watched.value].sum(0), expected, spike, movers=movers, **learned)


def _mover(alert: Alert) -> str:
    """The column of a line that tells who moved."""
    if alert.subject_kind == "group":
        return "customer_id" if alert.topic == BILLING else "provider"
    return "model" if alert.account_id else "app_id"


def _members(watch: Watch, number: int, alert: Alert) -> list[tuple[int, Subject]]:
    """The rows that the alert is of: its subject's, or those of the customers (or providers) of a whole group, the
    MEMBERS_MAX busiest of them. Keys are their customers', too."""
    if alert.subject_kind != "group":
        subject = Subject(alert.subject_kind, alert.subject_id, alert.account_id)
        row = watch.subjects.find(subject)
        return [] if row is None else [(row, subject)]
    rows = [
        (row, one)
        for row, one in enumerate(watch.subjects.rows)
        if one is not None and one.group == alert.subject_id and one.kind != "key"
    ]
    weight = watch.detectors[number].records(np.arange(len(watch.subjects.rows)))["size_sum"]
    return sorted(rows, key=lambda one: -float(weight[one[0]]))[:MEMBERS_MAX]
