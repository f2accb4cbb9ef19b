"""Replay a history through a fresh detector: what would have been alerted. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import ALERT, Told
from tokenmeter.flow.watch.exact import Doubles, Longs
from tokenmeter.flow.watch.settings import Measure, Sensitivity, Settings


@dataclass(frozen=True)
class Series:
    """Columns of one length, in any order: a subject's value of a bucket (seconds since 1970 // bucket_s). No row is a
    zero.

    The optional columns are those of ``Bucket``; ``groups`` gives each subject's group by name.
    """

    subject: Sequence[str]
    bucket: Longs
    value: Doubles
    squares: Doubles | None = None
    paid: Doubles | None = None
    exposure: Doubles | None = None
    groups: dict[str, int] | None = None


def backtest(
    series: Series,
    sensitivity: Sensitivity = Sensitivity.NORMAL,
    bucket_s: int = 60,
    measure: Measure | None = None,
    recorded: bool = False,
) -> tuple[list[str], NDArray[np.void]]:
    """(subjects by row, their ALERT records). Born in its first bucket; ``recorded`` adds what was not told."""
    detector = Detector(Settings(bucket_s, sensitivity), measure)
    order = np.argsort(series.bucket, kind="stable")
    buckets = series.bucket[order]
    names = np.asarray(series.subject, dtype=object)[order]
    rows_of: dict[str, int] = {}
    for name in names.tolist():
        rows_of.setdefault(name, len(rows_of))
    rows = np.array([rows_of[name] for name in names.tolist()], np.int64)
    groups = np.array([(series.groups or {}).get(name, -1) for name in rows_of], np.int64)
    columns = {
        name: None if column is None else column[order]
        for name in ("value", "squares", "paid", "exposure")
        for column in (getattr(series, name),)
    }
    told = [np.zeros(0, ALERT)]
    if len(buckets):
        for bucket in range(int(buckets[0]), int(buckets[-1]) + 1):
            here = slice(*np.searchsorted(buckets, [bucket, bucket + 1]).tolist())
            born = int(rows[here].max(initial=-1)) + 1 - detector.rows
            if born > 0:
                detector.add(groups[detector.rows : detector.rows + born])
            dense = {
                name: None if column is None else np.bincount(rows[here], column[here], detector.rows)
                for name, column in columns.items()
            }
            told.append(detector.step(bucket, Bucket(**dense)))  # type: ignore[arg-type]
    alerts = np.concatenate(told)
    kept = np.ones(len(alerts), bool) if recorded else alerts["told"] < Told.RECORDED
    return list(rows_of), alerts[kept]
