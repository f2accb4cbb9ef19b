"""Reads alerts from the topic, committed ones only, from a time on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from tokenmeter.events import wire
from tokenmeter.events.contract import ALERTS
from tokenmeter.events.errors import Fatal, Misconfigured, Poison
from tokenmeter.events.ledger import Alert
from tokenmeter.kafka.group import READING, asking
from tokenmeter.kafka.reading import NEVER, Pace, to_the_ends
from tokenmeter.stack.prices.terms import time_of

KAFKA_TIMEOUT_S = 20.0
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,6})([smhd])")


def since(text: str, now: datetime) -> datetime:
    """``90s``, ``30m``, ``1h`` or ``7d`` ago, or a time in UTC. Misconfigured when it is neither."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return time_of(text)
    except ValueError as error:
        raise Misconfigured(
            f"--since {text!r} is no time", hint="write 30m, 1h, 7d or 2026-12-01T16:00, in UTC"
        ) from error


def alert_of(message: Message) -> Alert | None:
    """The alert of a record; None for a stranger's. Fatal when a newer tokenmeter wrote it."""
    try:
        return Alert.model_validate(wire.decode(message.value(), expect="alert").record)
    except Poison as error:
        if not wire.is_newer(message.value()):
            return None
        place = f"{ALERTS}/{message.partition()}@{message.offset()}"
        raise Fatal(f"{place} is no alert: {error.detail}", hint="upgrade tokenmeter: a newer one wrote it") from error


def starts(consumer: Consumer, partitions: Sequence[int], at: datetime) -> list[TopicPartition]:
    """Where each partition begins that holds what was written at or after ``at``."""
    at_ms = max(0, round(at.timestamp() * 1_000))
    found = consumer.offsets_for_times([TopicPartition(ALERTS, one, at_ms) for one in partitions], KAFKA_TIMEOUT_S)
    made = []
    for one in found:
        end = consumer.get_watermark_offsets(TopicPartition(ALERTS, one.partition), KAFKA_TIMEOUT_S)[1]
        made.append(TopicPartition(ALERTS, one.partition, one.offset if one.offset >= 0 else end))
    return made


def read(client: Mapping[str, Any], at: datetime, follow: bool) -> Iterator[Alert]:
    """Every alert since ``at`` and, if told to ``follow``, each one as it is written, without end."""
    with asking(client, "tokenmeter-alerts-reader", {**READING, "fetch.wait.max.ms": 100}) as consumer:
        topic = consumer.list_topics(ALERTS, KAFKA_TIMEOUT_S).topics[ALERTS]
        if topic.error is not None:
            raise Fatal(f"topic {ALERTS} does not exist: {topic.error}", hint="tokenmeter topics")
        begins = {one.partition: one.offset for one in starts(consumer, [*topic.partitions], at)}
        end, pace = (NEVER, Pace(stall_s=math.inf)) if follow else (None, Pace())
        for taken in to_the_ends(consumer, ALERTS, begins, end, pace):
            for message in taken.messages:
                if (alert := alert_of(message)) is not None:
                    yield alert
