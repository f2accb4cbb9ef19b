"""All that a watch knows, as records of watch.state, and back: every subject in packed columns, nothing pickled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tokenmeter.events import wire
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.watch import WatchRows, WatchState
from tokenmeter.flow.watch.feed import Feed
from tokenmeter.flow.watch.partition import Watch
from tokenmeter.flow.watch.settings import Sensitivity, Settings
from tokenmeter.flow.watch.subjects import NAMES
from tokenmeter.kafka.logreader import LogReader

CHUNK_ROWS = 1_000
"""Of one record: a measure of so many subjects is about 1 MB."""
READ_RECORDS = 256
"""Of the end of watch.state, at first."""
SUBJECTS, OPEN, LATE = "subjects", "open", "late"
Rows = Mapping[tuple[str, int], WatchRows]


def key(topic: str, part: str = "state", chunk: int = 0) -> bytes:
    """A record's key: a checkpoint replaces the one before it."""
    return f"{topic}/{part}/{chunk}".encode()


def parts(feed: Feed) -> list[str]:
    """What each chunk of rows has a record of."""
    return [SUBJECTS, OPEN, *(watched.measure.name for watched in feed.measures)]


def state_of(watch: Watch, number: int, next_offset: int) -> WatchState:
    """The head of checkpoint ``number``, which holds every line below ``next_offset``."""
    lines = watch.collect.offsets or (-1, -1)
    away = -1 if watch.collect.away is None else watch.collect.away
    return WatchState(
        topic=watch.feed.topic,
        partition=watch.partition,
        checkpoint=number,
        next_offset=next_offset,
        open_bucket=watch.collect.open,
        told_from=watch.told_from,
        sensitivity=watch.plan.sensitivity.name.lower(),
        subjects=len(watch.subjects),
        groups=tuple(watch.subjects.groups),
        pools=tuple(detector.pools() for detector in watch.detectors),
        causes=watch.causes.numbers(),
        open_lines=(*lines, away),
    )


def rows_of(watch: Watch, number: int) -> Iterator[WatchRows]:
    """The rows of checkpoint ``number``, a chunk after the other."""
    named: dict[str, Any] = {"topic": watch.feed.topic, "partition": watch.partition, "checkpoint": number}
    count = len(watch.subjects)
    for chunk, first in enumerate(range(0, count, CHUNK_ROWS)):
        end = min(first + CHUNK_ROWS, count)
        last = watch.subjects.last_bucket[first:end].astype("<i8").tobytes()
        names = tuple(watch.subjects.names(first, end))
        yield WatchRows(**named, part=SUBJECTS, chunk=chunk, names=names, data=last)
        columns = [watch.collect.sums(name, first, end) for name in (*watch.feed.columns, LATE)]
        yield WatchRows(**named, part=OPEN, chunk=chunk, data=np.concatenate(columns).astype("<f8").tobytes())
        for watched, detector in zip(watch.feed.measures, watch.detectors, strict=True):
            records = detector.records(np.arange(first, end, dtype=np.int64))
            yield WatchRows(**named, part=watched.measure.name, chunk=chunk, data=records.tobytes())


def restored(feed: Feed, plan: Settings, state: WatchState, rows: Rows) -> Watch:
    """The watch as the checkpoint has it, under the sensitivity that it had. Fatal when a row is missing."""
    had = Settings(plan.bucket_s, Sensitivity[state.sensitivity.upper()])
    watch = Watch(feed, had, state.partition, state.told_from)
    numbers = range(chunks(state))
    # A measure that is newer than the checkpoint begins with it.
    had_parts = parts(feed)[: 2 + len(state.pools)]
    missing = [one for chunk in numbers for part in had_parts if (one := (part, chunk)) not in rows]
    if missing:
        raise Fatal(f"{feed.state}/{state.partition}: checkpoint {state.checkpoint} lacks {missing[0]}", hint=ANEW)
    names = [name for chunk in numbers for name in rows[SUBJECTS, chunk].names]
    last = b"".join(rows[SUBJECTS, chunk].data for chunk in numbers)
    watch.subjects.restore(names, np.frombuffer(last, "<i8").astype(np.int64), state.groups)
    assert len(names) == NAMES * state.subjects
    watch.causes.restore(state.causes)
    watch.collect.open = state.open_bucket
    first, end, away = state.open_lines
    watch.collect.offsets = (first, end) if first >= 0 else None
    watch.collect.away = away if away >= 0 else None
    for chunk in numbers:
        begin = chunk * CHUNK_ROWS
        places = np.arange(begin, min(begin + CHUNK_ROWS, state.subjects), dtype=np.int64)
        sums = np.frombuffer(rows[OPEN, chunk].data, "<f8").reshape(-1, len(places))
        for name, column in zip((*feed.columns[: len(sums) - 1], LATE), sums, strict=True):
            watch.collect.restore(name, begin, column)
        subjects = watch.subjects.rows[begin : begin + CHUNK_ROWS]
        groups = [-1 if one is None else watch.subjects.group(one.group) for one in subjects]
        for watched, detector in zip(feed.measures, watch.detectors, strict=True):
            detector.add(np.array(groups, np.int64))
            if watched.measure.name in had_parts:
                detector.restore(places, rows[watched.measure.name, chunk].data)
    for detector, pools in zip(watch.detectors, state.pools, strict=False):
        detector.load_pools(pools)
    for detector in watch.detectors[len(state.pools) :]:
        detector.next_bucket = watch.detectors[0].next_bucket
    return watch


def newest(log: LogReader, feed: Feed, partition: int) -> tuple[WatchState, dict[tuple[str, int], WatchRows]] | None:
    """The newest state of a partition and the rows of its checkpoint; None before the first.

    A checkpoint is written in one transaction: the end of the log is read, and more of it until all is there.
    """
    end, reach = log.end(feed.state, partition), READ_RECORDS
    while True:
        start = max(0, end - reach)
        state: WatchState | None = None
        rows: dict[tuple[str, int], WatchRows] = {}
        for batch in log.read(feed.state, partition, start, end):
            for decoded in _ours(batch.values):
                if decoded.schema.name == "watch_state":
                    state = WatchState(**decoded.record)
                else:
                    one = WatchRows(**decoded.record)
                    rows[one.part, one.chunk] = one
        if state is not None:
            rows = {at: one for at, one in rows.items() if one.checkpoint == state.checkpoint}
        if start == 0 or (state is not None and len(rows) == len(parts(feed)) * chunks(state)):
            return None if state is None else (state, rows)
        reach *= 4


def _ours(values: Sequence[bytes | None]) -> Iterator[wire.Decoded]:
    """Each record but a stranger's. Poison when a later tokenmeter wrote one."""
    for value in values:
        try:
            yield wire.decode(value)
        except Poison:
            if wire.is_newer(value):
                raise


def chunks(state: WatchState) -> int:
    """How many records each part has."""
    return -(-state.subjects // CHUNK_ROWS)


ANEW = (
    "begin anew: stop the watch, delete watch.state, watch.state.market and the group tokenmeter-watch, then run "
    "tokenmeter topics"
)
