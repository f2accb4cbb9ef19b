"""What of a page ClickHouse need not be sent: to read twenty columns that say nothing was a third of an insert."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tokenmeter.events.contract import QUANTITY_FIELDS

SAMPLE_ROWS = 1_000
FEW_TEXTS = 64
"""Texts of which so many rows hold no more different ones go as a dictionary."""


def lean(rows: pa.Table) -> pa.Table:
    """The same rows, as far as a table of ours can tell.

    Left out is what a table has by default: columns that are null throughout, and quantities that are zero throughout.
    Texts of few values are sent once each. All columns of no rows, which ask whether the table takes them.
    """
    if not rows.num_rows:
        return rows
    kept = rows.select([name for name in rows.column_names if not _says_nothing(name, rows[name])])
    for at, name in enumerate(kept.column_names):
        if pa.types.is_large_string(kept[name].type) and _is_of_few(kept[name]):
            kept = kept.set_column(at, name, kept[name].dictionary_encode())
    return kept


def _says_nothing(name: str, column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    if name not in QUANTITY_FIELDS or not pa.types.is_integer(column.type) or column.null_count:
        return False
    ends = pc.min_max(column).as_py()
    return bool(ends["min"] == 0 == ends["max"])


def _is_of_few(column: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(column.slice(0, SAMPLE_ROWS)).as_py() <= FEW_TEXTS)
