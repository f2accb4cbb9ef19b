"""The watch of one partition: lines and the clock in, alerts out. Knows neither Kafka nor the time of day.

Lines come in the order of the log, whatever the batches; the same lines and the same closings by the clock give the
same state and the same alerts, bit for bit.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.events.ledger import Alert
from tokenmeter.flow.watch.alert import alert_of
from tokenmeter.flow.watch.band import Band, hours_about, of_newcomer
from tokenmeter.flow.watch.causes import Causes, Change, What
from tokenmeter.flow.watch.collect import AHEAD_BUCKETS, Collect
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.exact import Longs
from tokenmeter.flow.watch.feed import Feed, Lines
from tokenmeter.flow.watch.settings import Kind, Settings
from tokenmeter.flow.watch.subjects import Subject, Subjects

LEARN_DAYS = 7
"""What is older than that when the watch first begins is not read: each minute takes a millisecond."""
UNKNOWN, NO_ROOM = -1, -2


class Watch:
    """``told_from``: nothing is told of the buckets before; they were history when the watch began."""

    def __init__(self, feed: Feed, plan: Settings, partition: int, told_from: int) -> None:
        self.feed, self.plan, self.partition, self.told_from = feed, plan, partition, told_from
        self.subjects = Subjects()
        self.causes = Causes(self.subjects.parent)
        self.collect = Collect(plan.bucket_s)
        self.detectors = [Detector(plan, watched.measure) for watched in feed.measures]
        self._rows: list[Longs] = []
        """Of the batch in hand, by level: the row of each of its subjects."""

    def fold(self, lines: Lines, times_s: Longs, offsets: Longs) -> list[Alert]:
        """Take lines (n), each with its broker time and offset; returns the alerts of the buckets that they closed."""
        self._rows = [np.full(len(lines.subjects), UNKNOWN, np.int64) for _ in range(self.feed.levels)]
        told: list[Alert] = []
        buckets = times_s // self.plan.bucket_s
        young = buckets >= self.told_from - LEARN_DAYS * self.plan.buckets_day
        if not young.all():
            lines, times_s, offsets, buckets = lines.only(young), times_s[young], offsets[young], buckets[young]
        ends = [*(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(buckets)]
        first = 0
        for end in ends if len(buckets) else ():
            told += self._reach(int(times_s[first]))
            self._count(lines, slice(first, end), offsets)
            first = end
        return told

    def pass_to(self, bucket: int) -> list[Alert]:
        """The clock has reached ``bucket``: close those before it. Nothing before the first line."""
        now = self.collect.open
        if now is None or bucket <= now:
            return []
        if bucket > now + AHEAD_BUCKETS:
            return self._skip_to(bucket)
        return [alert for closed in range(now, bucket) for alert in self._close(closed)]

    def _reach(self, time_s: int) -> list[Alert]:
        if self.collect.is_another_time(time_s):
            return self._skip_to(time_s // self.plan.bucket_s)
        return [alert for closed in self.collect.closes(time_s) for alert in self._close(closed)]

    def _count(self, lines: Lines, part: slice, offsets: Longs) -> None:
        who = lines.who[part]
        if (self._rows[0][who] == UNKNOWN).any():
            for number in np.unique(who).tolist():
                if self._rows[0][number] == UNKNOWN:
                    self._know(number, lines.subjects[number])
        assert self.collect.open is not None
        for rows in self._rows:
            row = rows[who]
            has = row >= 0
            columns = {name: column[part][has] for name, column in lines.columns.items()}
            self.collect.add(row[has], len(self.subjects), lines.late[part][has], **columns)
            self.subjects.last_bucket[row[has]] = self.collect.open
        known = self.collect.offsets
        self.collect.offsets = (known[0] if known else int(offsets[part][0]), int(offsets[part][-1]))

    def _know(self, number: int, subjects: tuple[Subject, ...]) -> None:
        for level in range(self.feed.levels):
            self._rows[level][number] = self._row(subjects[level]) if level < len(subjects) else NO_ROOM

    def _row(self, subject: Subject) -> int:
        row = self.subjects.find(subject)
        if row is not None:
            return row
        added = self.subjects.add(subject)
        if added is None:
            return NO_ROOM
        row, used = added
        group = np.array([self.subjects.group(subject.group)], np.int64)
        for detector in self.detectors:
            if used:
                detector.reuse(np.array([row], np.int64), group)
            else:
                detector.add(group)
        return row

    def _close(self, bucket: int) -> list[Alert]:
        found = [
            detector.step(bucket, self.collect.take(len(self.subjects), watched.value, **watched.columns))
            for detector, watched in zip(self.detectors, self.feed.measures, strict=True)
        ]
        told: list[Alert] = []
        if any(map(len, found)):
            changes = self.causes.advance(bucket, found)
            told = [self._alert(bucket, change) for change in changes] if bucket >= self.told_from else []
        self.collect.opened(bucket + 1)
        day, kept = self.plan.buckets_day, self.causes.rows
        if (bucket + 1) % day == 0 and self.subjects.forget(bucket, day, kept()):
            for rows in self._rows:
                rows[:] = UNKNOWN
        return told

    def _skip_to(self, bucket: int) -> list[Alert]:
        now = self.collect.open
        assert now is not None
        told = self._close(now)
        for detector in self.detectors:
            detector.skip_to(bucket)
        self.collect.opened(bucket)
        return told

    def _alert(self, bucket: int, change: Change) -> Alert:
        row = change.cause.row
        subject = self.subjects.rows[row] if row >= 0 else Subject("group", self.subjects.groups[-1 - row], "")
        assert subject is not None
        measure = self.feed.measures[change.measure].measure
        place = self.feed.topic, self.partition, self.plan.bucket_s
        return alert_of(*place, bucket, subject, measure, change, self.collect.offsets, self._band(bucket, change))

    def _band(self, bucket: int, change: Change) -> tuple[int, Band] | None:
        """The subject's band, for what opens or worsens; a whole group has none."""
        row = change.cause.row
        if row < 0 or change.what not in (What.OPENED, What.WORSE):
            return None
        detector, found = self.detectors[change.measure], change.found
        if found["kind"] == Kind.NEWCOMER:
            return of_newcomer(detector, bucket, float(found["seen"]), float(found["score"]))
        exposure = self.feed.measures[change.measure].columns.get("exposure")
        seen = 0.0 if exposure is None else float(self.collect.sums(exposure, row, row + 1)[0])
        return hours_about(detector, row, bucket, seen)
