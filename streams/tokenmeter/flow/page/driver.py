"""Performs the engine's effects on Kafka: one transactional producer per owned partition.

confluent-kafka carries the transaction although the group's live member is aiokafka: the metadata of an unsubscribed
consumer of the same group is enough, and fencing comes from the transactional id, ``{app}-{topic}-{partition}``.

Where a page closes in a moment its position is known before its records are: it travels while they are made. That is
25 ms of an alert's half second; nothing of it counts before the commit, which waits for both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from tokenmeter.events.access import SILENT
from tokenmeter.events.errors import Fatal, Fenced
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.calls import CALLS, OFFSETS_CALL_S
from tokenmeter.flow.page.page import Outgoing
from tokenmeter.kafka import losses
from tokenmeter.kafka.group import Group

TRANSACTION_TIMEOUT_MS = 60_000
RECONNECT_MAX_MS = 500
"""A broker that is back is found so soon. By default a client waits up to 10 s: commits went on 7 to 9 s after a broker
that had been away for some seconds, and 0.5 to 1 s with this."""
KAFKA_WAIT_S = 30.0
"""How long one Kafka call may take before the worker gives up and restarts."""
PRODUCER_RECORDS_MAX = 1_000_000
PRODUCER_KBYTES_MAX = 128 << 10
"""Records a producer holds before produce waits for the broker: there is one producer a partition."""
RECORD_BYTES_MAX = 2 << 20
"""A quarantined event carries a value of up to 1 MiB and where it was."""
ANY_PARTITION = -1
SENDERS_MAX = 8
"""Positions of a worker that travel at once; further ones wait for one of these."""

_senders = ThreadPoolExecutor(SENDERS_MAX, thread_name_prefix="position")
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Driver(Protocol):
    """Performs Kafka's effects for one owned partition."""

    def perform(self, effect: steps.Effect) -> Any:
        """Do it and return what the effect's docstring says. Raises Fenced, or Fatal: the owner must then die."""

    def announce(self, position: steps.SendOffsets) -> None:
        """The page that is about to close will ask for this position: it may travel meanwhile."""

    def drop(self) -> None:
        """Give the partition up: abort what is open, release the producer. Never raises."""


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Kafka's errors become Fenced or Fatal that say what failed."""
    try:
        yield
    except KafkaException as error:
        cause = error.args[0]
        if cause.code() in _FENCED:
            raise Fenced(f"{what}: {cause.str()}: another worker owns this partition now") from error
        raise Fatal(
            f"{what}: {cause.str()}", hint="the worker restarts and resumes at the last committed page"
        ) from error


class KafkaDriver:
    """The driver of production. ``client`` holds the settings every Kafka client shares (brokers, TLS, SASL); ``group``
    is one for all partitions of a worker."""

    def __init__(
        self,
        client: Mapping[str, Any],
        app_id: str,
        topic: str,
        partition: int,
        position_early: bool = False,
        group: Group | None = None,
    ) -> None:
        self._client = dict(client)
        self._app_id = app_id
        self._topic = topic
        self._partition = partition
        self._producer: Producer | None = None
        self._in_transaction = False
        self._position_early = position_early
        self._travelling: tuple[steps.SendOffsets, Future[None]] | None = None
        """What was sent of the open page's position before it was asked for."""
        self._group = group or Group(client, app_id)
        self._named: Any = None
        """The group as a transaction names it; known once the position was read."""

    @property
    def name(self) -> str:
        """The app and its partition, as errors name them."""
        return f"{self._app_id} on {self._topic}/{self._partition}"

    def perform(self, effect: steps.Effect) -> Any:
        """See Driver."""
        with named_errors(f"{type(effect).__name__} of {self.name}"):
            return self._perform(effect)

    def announce(self, position: steps.SendOffsets) -> None:
        """See Driver."""
        if self._position_early:
            with named_errors(f"Begin of {self.name}"):
                self._begin()
            self._travelling = position, _senders.submit(self._send, position)

    def _perform(self, effect: steps.Effect) -> Any:
        match effect:
            case steps.Fence():
                self._producer = self._new_producer()
                with CALLS.made(f"Fence of {self.name}", KAFKA_WAIT_S):
                    self._producer.init_transactions(KAFKA_WAIT_S)
                return None
            case steps.ReadPosition():
                found = self._group.committed(self._topic, self._partition, KAFKA_WAIT_S)
                self._named = self._group.metadata()
                if found.offset < 0:
                    return steps.NOTHING_COMMITTED
                return steps.Position(found.offset, losses.read(found.metadata))
            case steps.ReadLogStart():
                return self._group.start(self._topic, self._partition, KAFKA_WAIT_S)
            case steps.Begin():
                return None if self._travelling else self._begin()
            case steps.Produce(outgoing):
                for records in outgoing:
                    self._produce(records)
                return None
            case steps.SendOffsets():
                if self._travelling is not None:
                    self._travelling[1].result()
                return None if self._travelling and self._travelling[0] == effect else self._send(effect)
            case steps.Commit():
                with CALLS.made(f"Commit of {self.name}"):
                    self._tx.commit_transaction(KAFKA_WAIT_S)
                self._in_transaction, self._travelling = False, None
                return None
            case _:
                raise Fatal(f"{self.name}: {type(effect).__name__} is not Kafka's")

    def drop(self) -> None:
        """See Driver. An abort that fails is left to the next owner's fence, which aborts it as well."""
        if self._travelling is not None:  # one call of the transaction at a time
            with suppress(KafkaException):
                self._travelling[1].result()
        if self._producer is not None and self._in_transaction:
            try:
                self._producer.abort_transaction(KAFKA_WAIT_S)
            except KafkaException:
                self._in_transaction = False
        self._producer = None

    def _begin(self) -> None:
        self._tx.begin_transaction()
        self._in_transaction = True

    def _send(self, position: steps.SendOffsets) -> None:
        written = losses.written(position.lost)
        at = TopicPartition(self._topic, self._partition, position.next_offset, written)
        with CALLS.made(f"SendOffsets of {self.name}", OFFSETS_CALL_S):
            self._tx.send_offsets_to_transaction([at], self._named, KAFKA_WAIT_S)

    @property
    def _tx(self) -> Producer:
        if self._producer is None:
            raise Fatal(f"{self.name}: a transaction before the fence")
        return self._producer

    def transactional_id(self) -> str:
        """One per app and partition: whoever initialises it last owns the partition."""
        return f"{self._app_id}-{self._topic}-{self._partition}"

    def transaction_timeout_ms(self) -> int:
        """After this long the broker aborts what an owner that is gone left open."""
        return TRANSACTION_TIMEOUT_MS

    def _new_producer(self) -> Producer:
        return Producer(
            {
                **SILENT,
                "reconnect.backoff.max.ms": RECONNECT_MAX_MS,
                **self._client,
                "transactional.id": self.transactional_id(),
                "transaction.timeout.ms": self.transaction_timeout_ms(),
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
                "batch.size": 1 << 20,
                "queue.buffering.max.messages": PRODUCER_RECORDS_MAX,
                "queue.buffering.max.kbytes": PRODUCER_KBYTES_MAX,
                "message.max.bytes": RECORD_BYTES_MAX,
                "log_level": 2,
            }
        )

    def _produce(self, records: Outgoing) -> None:
        """Hand the records over; a full queue is waited for, within the time a Kafka call may take."""
        tx, topic = self._tx, records.topic
        partition = ANY_PARTITION if records.partition is None else records.partition
        # One call per record: produce_batch was measured slower (0.72 against 0.45 us), its dicts cost more.
        for key, value in zip(records.keys, records.values, strict=True):
            try:
                tx.produce(topic, value, key, partition)
            except BufferError:
                self._produce_when_drained(topic, value, key, partition)

    def _produce_when_drained(self, topic: str, value: bytes, key: bytes | None, partition: int) -> None:
        deadline = time.monotonic() + KAFKA_WAIT_S
        while time.monotonic() < deadline:
            self._tx.poll(0.1)
            try:
                self._tx.produce(topic, value, key, partition)
                return
            except BufferError:
                continue
        raise Fatal(f"{self.name}: {topic} took no more records for {KAFKA_WAIT_S:.0f} s")
