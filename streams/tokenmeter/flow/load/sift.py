"""Finds the rows that ClickHouse refuses for their values, by halves; all others are inserted."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tokenmeter.events.errors import Refused

REFUSED_ROWS_MAX = 1_000
"""More of one page is no stranger's slip: the table or the loader is wrong, and nothing may be passed over."""

Insert = Callable[[str, pl.DataFrame], None]
"""Puts rows into a table; returns once they are durable, raises Refused, Transient or Fatal. Twice is once."""


def sift(insert: Insert, table: str, frame: pl.DataFrame) -> dict[int, str]:
    """Insert ``frame``; which rows were refused, and why. Raises Refused when a table takes not even no rows, when more
    than REFUSED_ROWS_MAX are refused, or one for what is not its values."""
    try:
        insert(table, frame)
    except Refused:
        insert(table, frame.clear())
    else:
        return {}
    found: dict[int, str] = {}
    left = [(0, frame.height)]
    while left:
        first, end = left.pop()
        try:
            insert(table, frame.slice(first, end - first))
        except Refused as error:
            if end - first > 1:
                middle = (first + end) // 2
                left += [(middle, end), (first, middle)]
            elif not error.by_row or len(found) == REFUSED_ROWS_MAX:
                raise
            else:
                found[first] = error.message
    return found
