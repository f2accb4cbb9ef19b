"""Every fault there is."""

from __future__ import annotations

from faults import brokers, clickhouse, replays, spool, workers
from faults.fault import Fault

FAULTS: list[Fault] = [*workers.FAULTS, *brokers.FAULTS, *clickhouse.FAULTS, *spool.FAULTS, *replays.FAULTS]
