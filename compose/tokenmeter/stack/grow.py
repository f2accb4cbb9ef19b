"""Grows usage.events to more partitions while no worker runs; see ``kafka/0001-growing-usage-events.md``.

What is begun is written to usage.growth before anything is done, so that a command that was killed is run again: until
it has ended every worker refuses to start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from tokenmeter.events.access import SILENT
from tokenmeter.events.contract import EVENTS, GROWTH, PAGES
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.growth import Growth
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.alone import ADMIN_TIMEOUT_S, SESSION_EXPIRY_S, who_stays

SETTLE_S = 330.0
"""Producers hear of new partitions within five minutes; what they still send to old ones meanwhile is good there."""
PARTITIONS_SEEN_S = 30.0
"""How soon every broker tells of partitions that were just made."""
POLL_S = 0.2


def grow(
    client: Mapping[str, Any],
    wanted: int,
    settle_s: float,
    say: Callable[[str], None],
    session_s: float = SESSION_EXPIRY_S,
) -> Growth:
    """Do it, or end what was begun. Raises Misconfigured while a worker runs, and for a count that cannot be."""
    if there := who_stays(client, session_s):
        raise Misconfigured(
            f"workers read this Kafka ({', '.join(there)})", hint="tokenmeter down; then the same again"
        )
    log = KafkaLogReader(client)
    before, is_begun = _plan(log, wanted)
    if not is_begun:
        _write(client, Growth(partitions_before=before, partitions=wanted, grown_at=datetime.now(UTC)))
    for topic in (PAGES, EVENTS):
        _raise(client, log, topic, wanted)
    if settle_s:
        say(f"{EVENTS} has {wanted} partitions; waiting {settle_s:.0f} s for producers to hear of it")
        time.sleep(settle_s)
    done = Growth(
        partitions_before=before,
        partitions=wanted,
        first_offsets=tuple(log.end(EVENTS, number) for number in range(before)),
        grown_at=datetime.now(UTC),
    )
    _write(client, done)
    return done


def _plan(log: KafkaLogReader, wanted: int) -> tuple[int, bool]:
    """(from how many, whether that was begun before)."""
    count, found = log.partitions(EVENTS), read_growths(log)
    if found and not found[-1].is_finished:
        if found[-1].partitions != wanted:
            raise Misconfigured(
                f"{EVENTS} is on its way to {found[-1].partitions} partitions, not to {wanted}",
                hint=f"tokenmeter topics grow {found[-1].partitions}; then to {wanted}",
            )
        return found[-1].partitions_before, True
    before = min(count, log.partitions(PAGES))  # somebody may have grown usage.events by hand
    if count not in (before, wanted) or wanted <= before or wanted % before:
        example = wanted if count == before else count
        raise Misconfigured(
            f"{EVENTS} has {count} partitions and {before} are metered: it cannot grow to {wanted}, only to twice, "
            "three times or more of these",
            hint=f"tokenmeter topics grow {max(2 * before, example - example % before)}",
        )
    return before, False


def _raise(client: Mapping[str, Any], log: KafkaLogReader, topic: str, wanted: int) -> None:
    if log.partitions(topic) != wanted:
        admin = AdminClient({**SILENT, **client, "log_level": 2})
        try:
            admin.create_partitions([NewPartitions(topic, wanted)])[topic].result(ADMIN_TIMEOUT_S)
        except KafkaException as error:
            raise Fatal(
                f"cannot grow {topic} to {wanted} partitions: {error.args[0].str()}", hint="the same again"
            ) from error
    deadline = time.monotonic() + PARTITIONS_SEEN_S
    while log.partitions(topic) != wanted:
        if time.monotonic() > deadline:
            raise Fatal(f"{topic} does not get its {wanted} partitions", hint="the same again")
        time.sleep(POLL_S)


def _write(client: Mapping[str, Any], growth: Growth) -> None:
    producer = Producer({**SILENT, **client, "acks": "all", "enable.idempotence": True, "log_level": 2})
    failed: list[str] = []
    value = growth.to_value()
    producer.produce(
        GROWTH, value, EVENTS.encode(), 0, on_delivery=lambda error, _: failed.append(error.str()) if error else None
    )
    if producer.flush(ADMIN_TIMEOUT_S) or failed:
        raise Fatal(f"cannot write to {GROWTH}: {'; '.join(failed) or 'no answer'}", hint="the same again")
