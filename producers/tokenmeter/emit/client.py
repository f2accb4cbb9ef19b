"""How the SDK's producer is set, with a spool and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENT_BYTES_MAX

DELIVERY_TIMEOUT_S = 120.0
"""How long Kafka is tried before an event is reported undelivered."""
RECONNECT_MAX_S = 2.0
"""Kafka's clients wait up to 10 s by themselves, although the broker is back."""
QUEUE_BYTES = 1 << 30
WINDOW_BYTES = 64 << 20
"""Sent and unacknowledged at once with a spool; the rest waits on the disk."""
_GIVES_UP = ("delivery.timeout.ms", "message.timeout.ms")


def direct(bootstrap_servers: str, buffer_events: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """confluent-kafka's settings for events that are held in memory; ``given`` has the last word."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.max.ms": int(RECONNECT_MAX_S * 1000),
        **SILENT,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": 20,
        "batch.size": 1 << 20,
        "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
        "message.max.bytes": EVENT_BYTES_MAX + 4096,
        "queue.buffering.max.messages": buffer_events + 1,
        "queue.buffering.max.kbytes": QUEUE_BYTES >> 10,
        "log_level": 2,
        **given,
    }


def spooled(bootstrap_servers: str, window_events: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for events that are on disk: tried for ever, and nothing may overtake what Kafka has refused."""
    settings = direct(bootstrap_servers, window_events, {"queue.buffering.max.kbytes": WINDOW_BYTES >> 10, **given})
    for name in _GIVES_UP:
        settings.pop(name, None)
    must = {"enable.idempotence": True, "acks": "all", "enable.gapless.guarantee": True, "message.timeout.ms": 0}
    return {**settings, **must}
