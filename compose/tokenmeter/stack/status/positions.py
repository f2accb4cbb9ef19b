"""How far each app has read, as Kafka knows it: also of one whose worker is down."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import OFFSET_END, TopicPartition

from tokenmeter.events.groups import GROUPS
from tokenmeter.kafka.group import asking
from tokenmeter.kafka.losses import read as lost_in
from tokenmeter.stack.status.ask import ask_all

_SETTINGS: Mapping[str, Any] = {"isolation.level": "read_committed", "log_level": 0}


@dataclass(frozen=True)
class Positions:
    """Of one app: records (about: ends of transactions count too) it has not read, and those retention took unread."""

    lag: int
    lost: int


def positions(client: Mapping[str, Any], apps: Collection[str], within_s: float) -> dict[str, Positions]:
    """Of these apps. Raises what Kafka's client raises when it does not answer in time, and TimeoutError.

    Consumers are asked: an AdminClient dies of a coordinator that has just started and refuses to tell positions
    (librdkafka 2.8, in rd_kafka_cgrp_op), and takes a core while a leader is away.
    """
    deadline = time.monotonic() + within_s
    topics = {topic for app in apps for topic in GROUPS[app].topics}
    with asking(client, "tokenmeter-status", _SETTINGS) as asked:
        there = asked.list_topics(timeout=within_s).topics
        numbers = {topic: list(there[topic].partitions) for topic in topics if topic in there}
        places = [TopicPartition(topic, number, OFFSET_END) for topic in numbers for number in numbers[topic]]
        left_s = deadline - time.monotonic()
        committed = ask_all({app: partial(_committed, client, app, numbers, left_s) for app in apps}, left_s)
        ends = asked.offsets_for_times(places, max(0.0, deadline - time.monotonic()))
    end = {(one.topic, one.partition): one.offset for one in ends}
    found = {}
    for app in apps:
        read = committed.get(app, TimeoutError(f"the position of {app} was not told within {within_s:g} s"))
        if isinstance(read, Exception):
            raise read
        lag = sum(max(0, end[one.topic, one.partition] - max(0, one.offset)) for one in read)
        found[app] = Positions(lag, sum(lost_in(one.metadata) for one in read))
    return found


def _committed(
    client: Mapping[str, Any], app: str, numbers: Mapping[str, Collection[int]], within_s: float
) -> list[TopicPartition]:
    """What is being committed just now can wait: the stable positions of a busy group are hardly ever to be had."""
    group, topics = GROUPS[app].id, GROUPS[app].topics
    wanted = [TopicPartition(topic, number) for topic in topics for number in numbers.get(topic, ())]
    with asking(client, group, {**_SETTINGS, "isolation.level": "read_uncommitted"}) as consumer:
        told: list[TopicPartition] = consumer.committed(wanted, within_s)
    return told
