"""One measure of all subjects: a bucket goes in, what is to be told comes out.

``step`` takes the buckets one after another, empty ones too, and judges each against what was learned before it, then
learns from it. The same buckets give the same state and the same alerts, bit for bit, however they were read, on any
machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import drift, habit, level, settings, tail
from tokenmeter.flow.watch.bucket import Bucket, Found, Judged, Plan, joined
from tokenmeter.flow.watch.episodes import ALERT
from tokenmeter.flow.watch.exact import Longs
from tokenmeter.flow.watch.groups import GROUP, VOTE, Groups
from tokenmeter.flow.watch.newcomers import Newcomers
from tokenmeter.flow.watch.settings import Kind, Measure, Settings
from tokenmeter.flow.watch.state import BLOCK_ROWS, RECORD, Block, Columns, pack, parse, unpack
from tokenmeter.flow.watch.step import step


class Detector:
    def __init__(self, plan: Settings | None = None, measure: Measure | None = None) -> None:
        self.plan = Plan.of(plan or Settings(), measure or Measure())
        self.blocks: list[Block] = []
        self.newcomers = Newcomers()
        self.groups = Groups(), Groups()
        """Of what rises and of what falls."""
        self.next_bucket: int | None = None

    @property
    def rows(self) -> int:
        return sum(block.rows for block in self.blocks)

    def add(self, groups: Longs) -> None:
        """New subjects, after those that there are; ``groups`` (new rows) is each one's group number or −1."""
        while len(groups):
            if not self.blocks or self.blocks[-1].rows == BLOCK_ROWS:
                self.blocks.append(Block())
            block = self.blocks[-1]
            fresh = block.extend(min(BLOCK_ROWS - block.rows, len(groups)))
            self._start(fresh)
            fresh.group[:] = groups[: fresh.rows]
            groups = groups[fresh.rows :]

    def _start(self, c: Columns) -> None:
        level.start(c)
        tail.start(c)
        habit.start(c, self.plan.settings.buckets_day)
        drift.start(c)
        c.season_before[:] = c.day[:] = c.week[:] = 1

    def reuse(self, rows: Longs, groups: Longs) -> None:
        """Give the rows of subjects that are gone to new ones: forgets everything of them."""
        records = np.repeat(self._fresh(), len(rows))
        records["group"] = groups
        self.restore(rows, records.tobytes())

    def _fresh(self) -> NDArray[np.void]:
        """The record of a new subject (1)."""
        block = Block()
        self._start(block.extend(1))
        return pack(block.columns, np.zeros(1, np.intp))

    def records(self, rows: Longs) -> NDArray[np.void]:
        """The state of ``rows``, one record each, as it goes to ``watch.state``."""
        found = np.zeros(len(rows), RECORD)
        for number, block in enumerate(self.blocks):
            here = rows // BLOCK_ROWS == number
            found[here] = pack(block.columns, rows[here] % BLOCK_ROWS)
        return found

    def restore(self, rows: Longs, values: bytes) -> None:
        """Put records of ``watch.state``, joined as bytes, into ``rows``."""
        records = parse(len(rows), values, self._fresh())
        for number, block in enumerate(self.blocks):
            here = rows // BLOCK_ROWS == number
            unpack(block.columns, rows[here] % BLOCK_ROWS, records[here])
            block.hourly = None

    def pools(self) -> bytes:
        """What belongs to no subject: newcomers, episodes of groups, the next bucket. One record of ``watch.state``."""
        rising, falling = (groups.episodes for groups in self.groups)
        numbers = np.array([-1 if self.next_bucket is None else self.next_bucket, len(rising)], "<i8")
        return b"".join(x.tobytes() for x in (numbers, self.newcomers.figures, rising, falling))

    def load_pools(self, values: bytes) -> None:
        """Put back what ``pools`` gave."""
        numbers, at = np.frombuffer(values, "<i8", 2), 16
        self.next_bucket = int(numbers[0]) if numbers[0] >= 0 else None
        self.newcomers.figures = np.frombuffer(values, "<f8", 3, at).copy()
        at += 24
        for groups, count in zip(self.groups, (int(numbers[1]), None), strict=True):
            groups.episodes = np.frombuffer(values, GROUP, -1 if count is None else count, at).copy()
            at += groups.episodes.nbytes

    def step(self, bucket: int, seen: Bucket) -> NDArray[np.void]:
        """Judge one bucket and learn from it; returns ALERT records, whole groups first, then by row."""
        if self.next_bucket is not None and bucket != self.next_bucket:
            raise ValueError(f"bucket {bucket} after {self.next_bucket - 1}: hint: step empty buckets too, none twice")
        self.next_bucket = bucket + 1
        first = 0
        judged: list[Judged] = []
        for block in self.blocks:
            part = slice(first, first + block.rows)
            found = step(block, self.plan, self.newcomers, bucket, seen, part)
            for side in (found.rising, found.falling):
                side.alerts["row"] += first
            judged.append(found)
            first += block.rows
        if seen.paid is not None and judged:
            self.newcomers.learn(np.concatenate([block.newcomers for block in judged]))
        active = self._active()
        quiet = settings.QUIET_MINUTES * 60 / self.plan.settings.bucket_s
        said: list[NDArray[np.void]] = []
        for groups, sides, usual in zip(self.groups, _sides(judged), (Kind.SPIKE, Kind.DROP), strict=True):
            if not sides:
                break
            alerts = joined([side.alerts for side in sides], ALERT)
            if len(active):
                whole = groups.advance(bucket, joined([side.votes for side in sides], VOTE), active, quiet)
                whole["kind"][whole["kind"] == 0] = usual  # nobody votes any more
                said.append(whole)
                groups.absorb(alerts)
            said.append(alerts)
        alerts = joined(said, ALERT)
        return alerts[np.argsort(alerts["row"], kind="stable")]

    def skip_to(self, bucket: int) -> None:
        """Go on at ``bucket``, which is another time: what lies between was not seen, and is no silence."""
        self.next_bucket = bucket
        for block in self.blocks:
            c, block.hourly = block.columns, None
            c.hour_y[:] = c.hour_mean[:] = c.hour_late[:] = 0
            for since in (c.begun_up, c.begun_down, c.opened_up, c.opened_down, c.last_up, c.last_down):
                np.minimum(since, bucket, out=since)
        for groups in self.groups:
            for name in ("since", "last"):
                groups.episodes[name] = np.minimum(groups.episodes[name], bucket)

    def _active(self) -> Longs:
        """How many subjects of each group had a value within a day."""
        width = max((int(block.columns.group.max(initial=-1)) for block in self.blocks), default=-1) + 1
        active = np.zeros(width, np.int64)
        for block in self.blocks if width else ():
            c = block.columns
            awake = c.idle < self.plan.settings.buckets_day
            # Those without a group, and who sleeps, count as group −1: picking the others out takes twice as long.
            active += np.bincount(np.where(awake, c.group, -1) + 1, minlength=width + 1)[1:]
        return active


def _sides(judged: list[Judged]) -> tuple[list[Found], list[Found]]:
    return [block.rising for block in judged], [block.falling for block in judged]
