"""What an app says of its worker: where Kafka is, what it reads, how large its pages are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenmeter.flow.faust.transport import FETCH_BYTES_MIN
from tokenmeter.flow.faust.watchdog import STALL_SECONDS
from tokenmeter.flow.page.engine import WORKER_THREADS
from tokenmeter.flow.page.page import PageLimits
from tokenmeter.kafka.group import Group

POLL_INTERVAL_S = 300.0
"""A worker that takes nothing more for this long, because what it has is not done, loses its partitions."""


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker needs. ``client`` holds further settings of the Kafka clients (TLS, SASL).

    ``instance_id`` makes the membership static: the replacement of a killed worker gets its partitions at once.
    """

    app_id: str
    bootstrap_servers: str
    topics: tuple[str, ...]
    work_dir: Path
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    instance_id: str | None = None
    limits: PageLimits = field(default_factory=PageLimits)
    stall_seconds: float = STALL_SECONDS
    poll_interval_s: float = POLL_INTERVAL_S
    threads: int = WORKER_THREADS
    fetch_bytes_min: int = FETCH_BYTES_MIN
    """The broker waits for so many bytes, for FETCH_WAIT_MS at most."""
    clocked: bool = False
    """Its processors are ``page.Clocked``: partitions are owned even if nothing is in them."""
    position_early: bool = False
    """A page closes in a moment: its position is sent while its records are made."""
    same_log: bool = True
    """Its folder belongs to one log: see same_log.py. False for one whose state is elsewhere and checked there."""
    niceness: int = 0
    """How far it stands back, on a busy machine, behind those on which alerts depend; see nice(2)."""
    client: Mapping[str, Any] = field(default_factory=dict)

    def kafka(self) -> dict[str, Any]:
        """Settings for confluent-kafka's clients."""
        return {"bootstrap.servers": self.bootstrap_servers, **self.client}

    @cached_property
    def group(self) -> Group:
        """What the app has committed."""
        return Group(self.kafka(), self.app_id)
