"""Fills ``usage.events`` with distinct events as fast as a client can send them.

Encoding millions of events one by one would take longer than metering them, so a pool of encoded events is made once
and only the event id is new in each. A customer uses a few models through a few keys, as customers do.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from tokenmeter.events import UsageEvent, encode
from tokenmeter.events.contract import EVENTS

POOL_EVENTS = 50_000
CUSTOMERS = 5_000
MODELS = 200
MODELS_PER_CUSTOMER = 4
PROVIDERS = 12
SEED = 7
PROGRESS_EVENTS = 100_000
_ID = "0" * 36


def pool() -> list[tuple[bytes, bytes, bytes]]:
    """(key, value up to the event id, value after it) of POOL_EVENTS different events of the last half hour."""
    chance = random.Random(SEED)
    now = datetime.now(UTC)
    favourites = [[int(MODELS * chance.random() ** 3) for _ in range(MODELS_PER_CUSTOMER)] for _ in range(CUSTOMERS)]
    made = []
    for number in range(POOL_EVENTS):
        customer = int(CUSTOMERS * chance.random() ** 2.1)
        model = favourites[customer][int(MODELS_PER_CUSTOMER * chance.random() ** 2)]
        tokens_in, tokens_out = int(chance.lognormvariate(8, 1)), int(chance.lognormvariate(5, 1.2))
        event = UsageEvent(
            event_id=_ID,
            occurred_at=now - timedelta(seconds=1800 * chance.random()),
            source=f"gateway-{number % 8}",
            sequence=number,
            customer_id=f"cus_{customer:05d}",
            project_id=f"prj_{customer:05d}",
            api_key_id=f"key_{customer:05d}_{int(3 * chance.random() ** 2)}",
            app_id=f"app_{customer % 50}",
            country=("US", "CN", "DE", "IN", "JP", "BR")[customer % 6],
            request_id=f"req_{number:012d}",
            model=f"author{model % 30}/model-{model}",
            provider=f"provider-{(model + (chance.random() < 0.2)) % PROVIDERS}",
            status=200,
            finish_reason="stop",
            streamed=True,
            input_tokens=tokens_in,
            cached_input_tokens=tokens_in // 3,
            output_tokens=tokens_out,
            latency_ms=chance.randrange(100, 900),
            duration_ms=chance.randrange(900, 9000),
        )
        before, after = encode("usage_event", event.to_record()).split(_ID.encode(), 1)
        made.append((event.customer_id.encode(), before, after))
    return made


def ids(events: int, seed: int = SEED) -> Iterator[bytes]:
    """The event ids that ``preload`` sends."""
    chance = random.Random(seed)
    return (str(uuid.UUID(int=chance.getrandbits(128), version=4)).encode() for _ in range(events))


def preload(bootstrap: str, events: int, advance: Callable[[int], None], seed: int = SEED) -> None:
    """Send ``events`` events with random ids, every one acknowledged; another seed gives other ids."""
    failed: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error.str()) if error else None,
        }
    )
    templates = pool()
    for number, event_id in enumerate(ids(events, seed)):
        key, before, after = templates[number % POOL_EVENTS]
        while True:
            try:
                producer.produce(EVENTS, before + event_id + after, key)
                break
            except BufferError:
                producer.poll(0.05)
        if number % PROGRESS_EVENTS == 0:
            producer.poll(0)
            advance(number)
    assert producer.flush(120) == 0 and not failed, failed[:1]
    advance(events)
