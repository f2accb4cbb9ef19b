"""Who holds a partition up: a transaction that somebody left open, behind which whoever reads committed records reads
nothing.

No restart ends it, so the worker waits and says what it waits for. The broker aborts it when the producer's own
``transaction.timeout.ms`` is over, unless it hangs, which only an administrator mends.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from faust.types.tuples import TP

log = logging.getLogger(__name__)

READ_UNCOMMITTED = 0
BLOCKED_S = 10.0
"""A partition that has waited for so long is looked at."""
BLOCKED_LOOK_S = 5.0
"""How often."""
LOOKED_AT_BYTES_MAX = 64 << 10
"""Of the log where it is held up: the first batch is enough."""


@dataclass(frozen=True)
class OpenTransaction:
    """``offset`` is the first of its records, appended ``since_ms``."""

    topic: str
    partition: int
    offset: int
    producer_id: int
    since_ms: int

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_ms / 1_000, UTC)
        return (
            f"{self.topic}/{self.partition}: nothing behind offset {self.offset} can be read, for producer "
            f"{self.producer_id} has had a transaction open there since {since:%Y-%m-%d %H:%M:%S} UTC (next: end that "
            f"producer; if it is gone, kafka-transactions.sh --bootstrap-server HOST:PORT abort --topic {self.topic} "
            f"--partition {self.partition} --start-offset {self.offset})"
        )


async def open_transaction(consumer: Any, tp: TP) -> OpenTransaction | None:
    """The one that ``consumer``, an AIOKafkaConsumer that reads committed records, waits for on ``tp``; or None.

    Raises what the client raises.
    """
    lso, highwater = consumer.last_stable_offset(tp), consumer.highwater(tp)
    if lso is None or highwater is None or not 0 <= lso < highwater or await consumer.position(tp) < lso:
        return None
    client = consumer._client
    leader = client.cluster.leader_for_partition(tp)
    asked = [(tp.topic, [(tp.partition, lso, LOOKED_AT_BYTES_MAX)])]
    response = await client.send(leader, FetchRequest(0, 1, LOOKED_AT_BYTES_MAX, READ_UNCOMMITTED, asked))
    for _, partitions in response.topics:
        for *_, log in partitions:
            records = MemoryRecords(log)
            while records.has_next():
                batch = records.next_batch()
                if batch.next_offset <= lso:
                    continue
                if not batch.is_transactional or batch.is_control_batch:
                    return None
                return OpenTransaction(tp.topic, tp.partition, lso, batch.producer_id, batch.max_timestamp)
    return None


class Blocked:
    """What is known to hold up partitions that wait."""

    def __init__(self) -> None:
        self._found: dict[TP, tuple[float, OpenTransaction | None]] = {}
        """(when it was looked, what was found)"""

    async def look(
        self, tp: TP, waiting_s: float, now: float, ask: Callable[[TP], Awaitable[OpenTransaction | None]]
    ) -> bool:
        """Whether ``tp`` waits for somebody's open transaction. It is asked now and then, and told when it changes."""
        if waiting_s < BLOCKED_S:
            self._found.pop(tp, None)
            return False
        looked_at, before = self._found.get(tp, (None, None))
        if looked_at is None or now - looked_at >= BLOCKED_LOOK_S:
            found = await ask(tp)
            if found is not None and found != before:
                log.error("%s", found)
            self._found[tp] = now, found
        return self._found[tp][1] is not None

    def forget(self, assigned: Collection[TP]) -> None:
        """Drop what is no longer assigned here."""
        self._found = {tp: found for tp, found in self._found.items() if tp in assigned}

    def told(self) -> list[str]:
        """For /health."""
        return [str(found) for _, found in self._found.values() if found is not None]
