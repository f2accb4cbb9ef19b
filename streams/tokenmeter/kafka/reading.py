"""The one loop that takes records from logs until their ends; whoever reads a topic by hand reads with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tokenmeter.events.errors import Fatal

READ_RECORDS_MAX = 50_000
"""Records taken from the client in one call."""
READ_WAIT_S = 0.2
"""How long that call waits for the first of them."""
STALL_S = 30.0
"""A read that brings nothing for this long has failed."""
NEVER = sys.maxsize
"""An end that no log comes to: for who follows it. Such a read may be silent for ever, see ``Pace``."""

_PASSING = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""What a broker that restarts says meanwhile. It is told only where it lasts."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is taken at once, and how long a read waits: for the first record of a call, and for anything."""

    records_max: int = READ_RECORDS_MAX
    wait_s: float = READ_WAIT_S
    stall_s: float = STALL_S


@dataclass(frozen=True, slots=True)
class Taken:
    """Records of one call, never none, and when each was appended (ms since 1970)."""

    messages: Sequence[Message]
    stamps_ms: Sequence[int]


def to_the_ends(
    consumer: Consumer, topic: str, starts: Mapping[int, int], end: int | None = None, pace: Pace | None = None
) -> Iterator[Taken]:
    """What partitions of ``topic`` have from their ``starts`` on. ``consumer`` must ask to be told of ends
    (``enable.partition.eof``), and is assigned to them.

    With an ``end``, of one partition alone unless it is NEVER, that is where it stops: it waits there for what is not
    committed yet, and may hand out records behind. Raises Fatal, which names the place, for an error of Kafka that does
    not pass, and where nothing comes for ``stall_s``; what is done with records between calls does not count.
    """
    pace = pace or Pace()
    consumer.assign([TopicPartition(topic, partition, start) for partition, start in starts.items()])
    left, heard_at, trouble, position = set(starts), time.monotonic(), "", min(starts.values(), default=0)
    while left:
        most = pace.records_max if end is None else max(1, min(pace.records_max, end - position))
        messages = take(consumer, most, pace.wait_s)
        stamps = [message.timestamp()[1] for message in messages]
        told: list[Message] = []
        if stamps and min(stamps) <= 0:  # what is no record has no time: each is asked only then
            told = [message for message in messages if message.error() is not None]
            messages = [message for message in messages if message.error() is None]
            stamps = [message.timestamp()[1] for message in messages]
        if messages:
            position = int(messages[-1].offset() or 0) + 1
            yield Taken(messages, stamps)
            heard_at, trouble = time.monotonic(), ""
        for message in told:
            error, number = message.error(), int(message.partition() or 0)
            if error is None or error.code() in _PASSING:
                trouble = f": {error}"
            elif error.code() != KafkaError._PARTITION_EOF:
                raise Fatal(f"cannot read {topic}/{number}: {error.str()}", hint="tokenmeter status")
            else:
                heard_at = time.monotonic()
                # Markers and aborted records are never handed out: only this says that they were passed.
                position = max(position, int(message.offset() or 0))
                if end is None:
                    left.discard(number)
        if end is not None and position >= end:
            return
        if time.monotonic() - heard_at > pace.stall_s:
            where = "" if end is None else f" at offset {position} of {end}"
            raise Fatal(
                f"{topic}/{min(left)} stands still{where}: no record for {pace.stall_s:.0f} s; a transaction is open, "
                f"or Kafka is away{trouble}",
                hint="tokenmeter status; then the same again",
            )


def take(consumer: Consumer, most: int, wait_s: float) -> list[Message]:
    """Up to ``most`` messages: who waits, waits for the first alone, and takes what has come with it. consume() waits
    for all of them, also at the end of a log, where no more can come."""
    first = consumer.poll(wait_s)
    return [] if first is None else [first, *consumer.consume(most - 1, 0)]
