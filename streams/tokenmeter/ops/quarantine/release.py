"""Puts events back on usage.events: one Kafka transaction carries the events and, on usage.quarantine, their releases.

The transactional id is fixed, so a second retry shuts the first one out and sees all it committed before it decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tokenmeter.events import wire
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS, QUARANTINE, RELEASED
from tokenmeter.events.errors import Fatal, Fenced
from tokenmeter.kafka.partitioner import partition_of

TRANSACTIONAL_ID = "tokenmeter-quarantine-retry"
TRANSACTION_TIMEOUT_MS = 60_000
KAFKA_WAIT_S = 30.0
RECORD_BYTES_MAX = 2 << 20
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


@dataclass(frozen=True)
class Release:
    """One event to send: ``record`` is the quarantined event, ``kafka_partition`` where usage.quarantine has it."""

    record: Mapping[str, Any]
    kafka_partition: int
    customer_id: str
    event_id: str


class Releaser:
    """Opened by ``fence``, which must come before anything is read or decided."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                **SILENT,
                **client,
                "transactional.id": TRANSACTIONAL_ID,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "message.max.bytes": RECORD_BYTES_MAX,
                "log_level": 2,
            }
        )

    def fence(self) -> None:
        """Shut any other retry out and abort what it left open."""
        self._do(lambda: self._producer.init_transactions(KAFKA_WAIT_S))

    def release(self, releases: list[Release]) -> None:
        """Send these events and their releases, all or none. Raises Fenced when another retry has begun since."""
        self._do(self._producer.begin_transaction)
        self.send_events(releases)
        self.send_releases(releases)
        self._do(lambda: self._producer.commit_transaction(KAFKA_WAIT_S))

    def send_events(self, releases: list[Release]) -> None:
        """The original bytes, to the customer's partition: there the dedup horizon knows their repeats."""
        partitions = self._partitions()
        for one in releases:
            record = one.record
            self._produce(EVENTS, record["value"], one.customer_id, partition_of(one.customer_id, partitions))

    def _partitions(self) -> int:
        return len(self._producer.list_topics(EVENTS, KAFKA_WAIT_S).topics[EVENTS].partitions)

    def send_releases(self, releases: list[Release]) -> None:
        """Beside the record that quarantined the event: retention, which takes the oldest, takes a release later."""
        now = datetime.now(UTC)
        for one in releases:
            record = {
                **one.record,
                "reason": RELEASED,
                "detail": f"was {one.record['reason']} ({one.record['detail']}); sent to {EVENTS} again",
                "customer_id": one.customer_id,
                "event_id": one.event_id,
                "quarantined_at": now,
            }
            self._produce(QUARANTINE, wire.encode("quarantined_event", record), one.customer_id, one.kafka_partition)

    def _produce(self, topic: str, value: bytes, key: str, partition: int) -> None:
        try:
            self._producer.produce(topic, value, key.encode(), partition)
        except BufferError:
            self._producer.flush(KAFKA_WAIT_S)
            self._producer.produce(topic, value, key.encode(), partition)

    def _do(self, call: Any) -> None:
        try:
            call()
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in _FENCED:
                raise Fenced(
                    f"another quarantine retry has begun: {cause.str()}; nothing of this one's last step was sent",
                    hint="run the retry again when the other one is done",
                ) from error
            raise Fatal(f"quarantine retry: {cause.str()}", hint="run the retry again: it goes on") from error
