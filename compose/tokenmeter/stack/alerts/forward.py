"""Sends every alert to one endpoint, at least once and in the order of each account.

The position is kept by Kafka in a group of the endpoint's own and moves after the endpoint has taken the alert. So an
endpoint that is down holds back itself alone, and goes on where it stopped however often this process is started anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import ALERTS
from tokenmeter.events.errors import Transient
from tokenmeter.events.ledger import Alert
from tokenmeter.stack.alerts.source import KAFKA_TIMEOUT_S, alert_of, starts

log = logging.getLogger(__name__)

SESSION_MS = 10_000
"""A forwarder that was killed is taken over from this much later."""
POLL_S = 0.2
"""It looks so often whether it is to stop."""


def group_of(url: str, account_id: str | None = None) -> str:
    """The consumer group of an endpoint and what it is sent. A URL may hold a password, so it is not shown."""
    text = "\x00".join((url, account_id or ""))
    return f"tokenmeter-alerts-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def forward(
    client: Mapping[str, Any],
    group: str,
    deliver: Callable[[Alert], None],
    since: datetime,
    wanted: Callable[[Alert], bool] = lambda alert: True,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Send alerts until ``stopping``. ``since``: where an endpoint begins that is new."""
    consumer = Consumer(
        {
            **client,
            **SILENT,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": SESSION_MS,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 100,
            "log_level": 2,
        }
    )

    def assigned(owner: Consumer, partitions: list[TopicPartition]) -> None:
        known = owner.committed(partitions, KAFKA_TIMEOUT_S)
        new = [one.partition for one in known if one.offset < 0]
        begin = starts(owner, new, since) if new else []
        if begin:
            # At once: one that is started again before its first alert must begin at the same place.
            owner.commit(offsets=begin, asynchronous=False)
        owner.assign([*(one for one in known if one.offset >= 0), *begin])

    consumer.subscribe([ALERTS], on_assign=assigned)
    try:
        while not stopping():
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                continue
            _take(consumer, message, deliver, wanted, group)
    finally:
        consumer.close()


def _take(
    consumer: Consumer,
    message: Message,
    deliver: Callable[[Alert], None],
    wanted: Callable[[Alert], bool],
    group: str,
) -> None:
    alert = alert_of(message)
    name = "none" if alert is None else alert.alert_id
    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
    try:
        if alert is not None and wanted(alert):
            deliver(alert)
        consumer.commit(offsets=[TopicPartition(ALERTS, partition, offset + 1)], asynchronous=False)
    except Transient as error:
        log.warning("%s: alert %s is not delivered yet: %s; trying on", group, name, error)
        _again(consumer, partition, offset)
    except KafkaException as error:
        # Another process of this group has the partition now, or Kafka is away: it will be sent again.
        log.warning("%s: the position after alert %s is not kept: %s", group, name, error.args[0].str())


def _again(consumer: Consumer, partition: int, offset: int) -> None:
    try:
        consumer.seek(TopicPartition(ALERTS, partition, offset))
    except KafkaException as error:
        log.warning("partition %s is no longer ours: %s", partition, error.args[0].str())
