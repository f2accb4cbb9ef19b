"""Every fault there is."""

from __future__ import annotations

from faults import bad_data, brokers, clickhouse, ledgers, replays, retention, spool, workers
from faults.fault import Fault

FAULTS: list[Fault] = [
    *workers.FAULTS,
    *ledgers.FAULTS,
    *brokers.FAULTS,
    *clickhouse.FAULTS,
    *spool.FAULTS,
    *replays.FAULTS,
    *bad_data.FAULTS,
    *retention.FAULTS,
]
