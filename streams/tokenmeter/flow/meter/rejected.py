"""Which events of a partition were refused when they were metered, whatever would be said of them now.

A meter that was upgraded since may be able to read them. Remembered in a rebuilt horizon, they would make the same
call, sent again, a repeat of something that was never counted.
"""

from __future__ import annotations

import polars as pl

from tokenmeter.events.contract import QUARANTINE, RELEASED
from tokenmeter.flow.columns.decode import decode
from tokenmeter.kafka.logreader import LogReader

SKEW_MS = 10 * 60_000
"""A quarantined event is stamped by its meter's clock, which may be this far behind the broker's."""
REMEMBERED = ["conflict", RELEASED]
"""A conflict was usable, and the horizon compares with it; a release says nothing of its own position."""


def refused_since(log: LogReader, partition: int, since_ms: int) -> list[int]:
    """Offsets of usage.events/``partition``, appended at or after ``since_ms``, that a meter could not use."""
    found: list[int] = []
    for number in range(log.partitions(QUARANTINE)):
        start = log.offset_at(QUARANTINE, number, since_ms - SKEW_MS)
        if start is None:
            continue
        # To the very end: another partition's open page must not hide what this one's last page says behind it.
        for batch in log.read(QUARANTINE, number, start, log.end(QUARANTINE, number)):
            ours = (pl.col("partition") == partition) & ~pl.col("reason").is_in(REMEMBERED)
            found += decode(batch.values, "quarantined_event").frame.filter(ours)["offset"].to_list()
    return found
