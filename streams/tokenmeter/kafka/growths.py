"""Reads usage.growth: how usage.events has grown, see ``tokenmeter.events.growth``."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException

from tokenmeter.events.contract import EVENTS, GROWTH
from tokenmeter.events.errors import Fatal
from tokenmeter.events.growth import Growth, growths
from tokenmeter.kafka.logreader import LogReader

YOUNG_WAIT_S = 30.0
"""A broker that has just started does not lead its partitions yet."""
YOUNG_LOOK_S = 0.2


def read_growths(log: LogReader) -> list[Growth]:
    """Every growth, oldest first. None where usage.events is there and the topic is not: a log of before never grew.

    Raises Fatal when Kafka does not answer.
    """
    log.partitions(EVENTS)
    try:
        log.partitions(GROWTH)
    except Fatal:
        return []
    deadline = time.monotonic() + YOUNG_WAIT_S
    while True:
        try:
            return growths(value for batch in log.read(GROWTH, 0, 0, log.end(GROWTH, 0)) for value in batch.values)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise Fatal(f"cannot read {GROWTH}: {error.args[0].str()}", hint="tokenmeter status") from error
            time.sleep(YOUNG_LOOK_S)
