"""This process in another time zone, for as long as a block runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

NEW_YORK = "America/New_York"
NIGHTS: tuple[tuple[datetime, datetime], ...] = (
    # Clocks go back: the hour from one to two is there twice, and fold says which.
    (datetime(2026, 11, 1, 1, 59, 50), datetime(2026, 11, 1, 1, 0, 5, fold=1)),
    # Clocks go forward: there is no hour from two to three.
    (datetime(2026, 3, 8, 1, 59, 50), datetime(2026, 3, 8, 3, 0, 5)),
)
"""Naive local times in NEW_YORK, the second 15 seconds after the first."""


@contextmanager
def zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
