"""Reads topics from their beginnings, for ever, and knows how old what it has read is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import ACCOUNT_STATE, CATALOG
from tokenmeter.events.errors import Transient

log = logging.getLogger("tokenmeter.credit")

ASK_EVERY_S = 0.5
"""How often the brokers are asked where the topics end: as old as that is what is known, if nothing is wrong."""
ASK_TIMEOUT_S = 5.0
"""For one answer; nothing is read meanwhile."""
EPOCH_TIMEOUT_S = 1.0
"""A broker that says that an epoch is old answers at once."""
STALL_S = 20.0
"""With records to be read and none read for so long, the client is made anew."""
POLL_S = 0.1
AGAIN_S = 1.0
RECONNECT_MAX_MS = 1_000
"""A broker that is back is found so soon. Kafka's clients wait up to 10 s by themselves: all that time what is known
is stale."""
READ_RECORDS_MAX = 10_000
QUEUED_KB = 16_384
"""Records of a start that wait to be folded; the client's default takes more memory than the accounts."""
TOPICS = (ACCOUNT_STATE, CATALOG)
LOOK_EVERY_S = 30.0
"""How often it is looked whether the topics have grown partitions."""

_OLD_EPOCH = (KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH)

Place = tuple[str, int]
Take = Callable[[Message], None]


class Follower(threading.Thread):
    """Hands every committed record to ``take``. ``caught_up_at``: monotonic time at which the brokers were asked where
    the topics end, of the last such question whose ends have been read; None before the first.

    Whatever fails is tried again from the beginning: folding a record twice changes nothing. ``name`` is said in the
    log and to the brokers.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        take: Take,
        tick: Callable[[], None],
        topics: Sequence[str] = TOPICS,
        name: str = "credit",
    ) -> None:
        super().__init__(name=f"tokenmeter-{name}", daemon=True)
        self._topics = topics
        self._client = {"reconnect.backoff.max.ms": RECONNECT_MAX_MS, **client}
        self._take = take
        self._tick = tick
        self._done = threading.Event()
        self.caught_up_at: float | None = None
        self.caught_up = threading.Event()

    def close(self, wait: bool = True) -> None:
        """Stop reading; without ``wait`` it ends soon."""
        self._done.set()
        if wait and self.is_alive():
            self.join(ASK_TIMEOUT_S + AGAIN_S)

    def run(self) -> None:
        told = ""
        while not self._done.is_set():
            try:
                self._follow()
            except Exception as error:
                if str(error) != told:  # the same once, or an outage fills the log
                    told = str(error)
                    log.warning("%s: %s; reading again every %g s", self.name, error, AGAIN_S)
                self._done.wait(AGAIN_S)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                **self._client,
                **SILENT,
                "group.id": f"{self.name}-cache",  # the client wants one; nothing is ever committed to it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": QUEUED_KB,
                "log_level": 2,
            }
        )
        try:
            ends = _Ends(consumer, _partitions(consumer, self._topics))
            consumer.assign([TopicPartition(*place, 0) for place in ends.places])
            self._read(consumer, ends)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, ends: _Ends) -> None:
        positions = dict.fromkeys(ends.places, 0)
        looked_at = moved_at = time.monotonic()
        while not self._done.is_set():
            if time.monotonic() - looked_at > LOOK_EVERY_S:
                looked_at = time.monotonic()
                if _have_grown(consumer, ends.places, self._topics):
                    return  # to begin again with all of them
            ends.ask()
            first = consumer.poll(POLL_S)
            before = sum(positions.values())
            for message in [first, *consumer.consume(READ_RECORDS_MAX, 0)] if first is not None else []:
                self._note(message, positions)
            self.caught_up_at = ends.reached(positions) or self.caught_up_at
            if not ends.open or sum(positions.values()) > before:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALL_S:
                raise Transient(f"nothing was read for {STALL_S:g} s although the brokers say that there is more")
            self._tick()
            if self.caught_up_at is not None:
                self.caught_up.set()

    def _note(self, message: Message, positions: dict[Place, int]) -> None:
        error, offset = message.error(), message.offset()
        place = str(message.topic()), message.partition() or 0
        if error is None:
            self._take(message)
            positions[place] = (offset or 0) + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            # Markers and aborted records are never handed out: only this says that they were passed.
            positions[place] = max(positions[place], offset or 0)
        elif error.fatal():
            raise KafkaException(error)
        # All else passes, as when a broker restarts; meanwhile what is known grows old, and says so.


class Broker(Protocol):
    """What is asked of a consumer that reads committed records."""

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]: ...

    def list_topics(self, *, timeout: float) -> Any: ...


class _Ends:
    """Asks where the partitions end: their last stable offsets.

    The consumer is asked. An AdminClient's list_offsets keeps a whole core busy while a leader is away, in every
    librdkafka (2.5 to 2.11 were tried), which is what a broker that starts on the same machine needs.
    """

    def __init__(self, broker: Broker, places: list[Place]) -> None:
        self._broker = broker
        self.places = places
        self._asked_at = 0.0
        self._last: dict[Place, int] = {}
        self.open = False
        """Whether the last answer's ends have not been reached yet."""

    def ask(self) -> None:
        """Unless the last answer is open, or a question was just asked. Raises Transient when a topic was made anew."""
        now = time.monotonic()
        if self.open or now - self._asked_at < ASK_EVERY_S:
            return
        self._asked_at = now
        wanted = [TopicPartition(*place, OFFSET_END) for place in self.places]
        try:
            answered = self._broker.offsets_for_times(wanted, ASK_TIMEOUT_S)
        except KafkaException as error:  # the next question may find them
            self._look_for_another_leader(error.args[0])
            return
        refused = next((one.error for one in answered if one.error), None)
        if refused is not None:
            self._look_for_another_leader(refused)
            return
        found = {(one.topic, one.partition): one.offset for one in answered}
        if any(end < 0 for end in found.values()):  # said of a leader that has just gone
            return
        for place, end in found.items():
            if end < self._last.get(place, 0):
                raise Transient(f"{place[0]}/{place[1]} ends at {end}, before {self._last[place]}: it was made anew")
        self._last, self.open = found, True

    def reached(self, positions: Mapping[Place, int]) -> float | None:
        """When the open question was asked, if ``positions`` are at all the ends that it found; which closes it."""
        if not self.open or any(positions[place] < end for place, end in self._last.items()):
            return None
        self.open = False
        return self._asked_at

    def _look_for_another_leader(self, error: KafkaError) -> None:
        """The client asks with the epoch that it knows, for ever: nothing but metadata tells it of the new one."""
        if error.code() in _OLD_EPOCH:
            with suppress(KafkaException):
                self._broker.list_topics(timeout=EPOCH_TIMEOUT_S)


def _have_grown(consumer: Consumer, places: list[Place], topics: Sequence[str]) -> bool:
    with suppress(KafkaException):
        return set(_partitions(consumer, topics)) != set(places)
    return False


def _partitions(consumer: Consumer, topics: Sequence[str]) -> list[Place]:
    found: list[Place] = []
    for topic in topics:
        about = consumer.list_topics(topic, ASK_TIMEOUT_S).topics[topic]
        if about.error is not None or not about.partitions:
            raise KafkaException(about.error or KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        found += [(topic, partition) for partition in about.partitions]
    return found
