"""The labelled series: the watch at each preset beside the baselines, by one score, in one run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.watch_baselines import BASELINES, told_once
from bench.watch_library import LIBRARY
from bench.watch_score import Result, judge
from tokenmeter.flow.watch.bucket import Bucket
from tokenmeter.flow.watch.detector import Detector
from tokenmeter.flow.watch.episodes import Told
from tokenmeter.flow.watch.settings import Sensitivity, Settings

DATA = Path(__file__).parents[3] / "shared" / "data" / "anomalies"
BUCKET_S = 300
ROWS_HOUR = 3600 // BUCKET_S
QUIET_ROWS = ROWS_HOUR // 2


def series() -> Iterator[tuple[str, int, NDArray[np.float64], list[tuple[int, int]]]]:
    """(name, first bucket, values, windows as rows); FileNotFoundError says that the data is not here."""
    if not DATA.exists():
        raise FileNotFoundError(f"{DATA} is not on this machine; it is others' data and not part of the repository")
    for name, windows in json.loads((DATA / "windows.json").read_text()).items():
        with (DATA / name).open() as lines:
            rows = list(csv.reader(lines))[1:]
        row_of = {row[0][:19]: i for i, row in enumerate(rows)}
        first = int(datetime.fromisoformat(rows[0][0]).replace(tzinfo=UTC).timestamp()) // BUCKET_S
        spans = [(row_of[a[:19]], row_of[b[:19]]) for a, b in windows]
        yield name, first, np.array([float(row[1]) for row in rows]), spans


def watch(first: int, value: NDArray[np.float64], sensitivity: Sensitivity) -> NDArray[np.bool_]:
    """The rows in which an alert is opened or worse. Counts without a price: the gate is a tenth of the day."""
    detector = Detector(Settings(BUCKET_S, sensitivity))
    detector.add(np.array([-1]))
    told = (detector.step(first + i, Bucket(value[i : i + 1]))["told"] for i in range(len(value)))
    return np.array([bool((now <= Told.WORSE).any()) for now in told])


def labelled(sensitivities: list[Sensitivity]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for _, first, value, windows in series():
        flags = {f"watch, {s.name}": watch(first, value, s) for s in sensitivities}
        flags |= {name: told_once(find(value, ROWS_HOUR), QUIET_ROWS) for name, find in (BASELINES | LIBRARY).items()}
        for name, rows in flags.items():
            result = judge(rows, windows, ROWS_HOUR)
            results[name] = results[name] + result if name in results else result
    return results
