"""How far each app has read, as Kafka knows it: also of one whose worker is down."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tokenmeter.events.contract import (
    ACCOUNT_STATE,
    ALERTS,
    BILLING,
    EVENTS,
    LEDGER,
    MARKET,
    PAGES,
    QUARANTINE,
    RESALE,
)
from tokenmeter.kafka.losses import read as lost_in

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "meter": ("tokenmeter-meter", (EVENTS,)),
    "load": ("tokenmeter-load", (EVENTS, BILLING, MARKET, RESALE, PAGES, QUARANTINE, LEDGER, ACCOUNT_STATE, ALERTS)),
    "ledger": ("tokenmeter-ledger", (LEDGER,)),
    "watch": ("tokenmeter-watch", (BILLING, MARKET)),
}
"""Each app's consumer group and what it reads. Their own modules say so too (a test compares); to import them takes
longer than the answer may.
"""


@dataclass(frozen=True)
class Positions:
    """Of one app: records (about: ends of transactions count too) it has not read, and those retention took unread."""

    lag: int
    lost: int


def positions(client: Mapping[str, Any], apps: Collection[str], within_s: float) -> dict[str, Positions]:
    """Of these apps, by one client for all. Raises what Kafka's client raises when it does not answer in time."""
    deadline = time.monotonic() + within_s
    admin = AdminClient({**client, "log_level": 0})
    groups = {app: GROUPS[app][0] for app in apps}
    committed = {
        app: admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], require_stable=False, request_timeout=within_s
        )[group]
        for app, group in groups.items()
    }
    there = admin.list_topics(timeout=within_s).topics
    latest = OffsetSpec.latest()
    wanted = {topic for app in apps for topic in GROUPS[app][1] if topic in there}
    asked = {TopicPartition(topic, number): latest for topic in wanted for number in there[topic].partitions}
    ends = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=within_s)
    end = {(one.topic, one.partition): ends[one].result(deadline - time.monotonic()).offset for one in asked}
    found = {}
    for app in apps:
        read = committed[app].result(deadline - time.monotonic()).topic_partitions
        at = {(one.topic, one.partition): max(0, one.offset) for one in read}
        lag = sum(max(0, end[key] - at.get(key, 0)) for key in end if key[0] in GROUPS[app][1])
        found[app] = Positions(lag, sum(lost_in(one.metadata) for one in read))
    return found
