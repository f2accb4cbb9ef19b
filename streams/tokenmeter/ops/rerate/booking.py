"""Puts corrections on usage.events, the moves of whole pages in one Kafka transaction.

The transactional id is fixed, so a second re-rating shuts the first one out before it looks at anything: what it sees
stays true until it is done, and whoever was shut out or killed has booked a page wholly or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tokenmeter.events import UsageEvent, encode
from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal, Fenced

TRANSACTIONAL_ID = "tokenmeter-rerate"
TRANSACTION_TIMEOUT_MS = 300_000
KAFKA_WAIT_S = 30.0
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Booking:
    """Opened by ``fence``, which must come before anything is read or decided."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                **SILENT,
                **client,
                "transactional.id": TRANSACTIONAL_ID,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "partitioner": "murmur2_random",  # of the SDK: a customer is on one partition
                "compression.type": "lz4",
                "log_level": 2,
            }
        )

    def fence(self) -> None:
        """Shut any other re-rating out and abort what it left open."""
        self._do(lambda: self._producer.init_transactions(KAFKA_WAIT_S))

    def book(self, events: Sequence[UsageEvent]) -> None:
        """Send these events, all or none. Raises Fenced when another re-rating has begun since."""
        self._do(self._producer.begin_transaction)
        try:
            for event in events:
                self.send(event)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._FATAL:
                raise Fatal(f"rerate: {error.args[0].str()}", hint="run it again: it goes on") from error
            # The producer has failed for good; what it was, a fence or something else, only the commit says.
        self._do(lambda: self._producer.commit_transaction(KAFKA_WAIT_S))

    def send(self, event: UsageEvent) -> None:
        """One event of the open transaction."""
        value, key = encode("usage_event", event.to_record()), event.customer_id.encode()
        try:
            self._producer.produce(EVENTS, value, key)
        except BufferError:
            self._producer.flush(KAFKA_WAIT_S)
            self._producer.produce(EVENTS, value, key)

    def _do(self, call: Callable[..., Any]) -> None:
        try:
            call()
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in _FENCED:
                raise Fenced(
                    f"another re-rating has begun: {cause.str()}; nothing of this one's last step was booked",
                    hint="tokenmeter rerate again when the other one is done",
                ) from error
            raise Fatal(f"rerate: {cause.str()}", hint="run it again: it goes on") from error
