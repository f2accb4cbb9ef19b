"""Reads usage.growth: how usage.events has grown, see ``tokenmeter.events.growth``."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from tokenmeter.events.contract import GROWTH
from tokenmeter.events.growth import Growth, growths
from tokenmeter.kafka.logreader import LogReader

_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)


def read_growths(log: LogReader) -> list[Growth]:
    """Every growth, oldest first. None where the topic is not there: a log of before never grew."""
    try:
        end = log.end(GROWTH, 0)
    except KafkaException as error:
        if error.args[0].code() in _NO_TOPIC:
            return []
        raise
    return growths(value for batch in log.read(GROWTH, 0, 0, end) for value in batch.values)
