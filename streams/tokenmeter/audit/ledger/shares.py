"""What of ledger.entries can be judged, and who does which part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenmeter.audit.ledger.states import StatesTask
from tokenmeter.audit.linestore import Kept
from tokenmeter.audit.sources import KafkaTopics
from tokenmeter.events.contract import LEDGER
from tokenmeter.events.groups import LEDGERS

CLOCKS_MS = 300_000
"""Pages are stamped by the clock that closed them, give or take this much."""


def since(kafka: KafkaTopics, kept: Kept, notes: list[str]) -> tuple[int, list[int]]:
    """Since when pages have all their entries on the topic, unless somebody took some away; and the partitions that
    have lost none to retention."""
    since_ms, whole = 0, []
    for partition in kafka.partitions(LEDGER):
        offset, at_ms = kept.begins.get((LEDGER, partition), (0, 0))
        if offset and kafka.log_start(LEDGER, partition):
            since_ms = max(since_ms, at_ms + CLOCKS_MS)
            notes.append(
                f"{LEDGER}/{partition}: retention removed the beginning: older pages have no entries, "
                "and account states cannot be booked again"
            )
        else:
            whole.append(partition)
    return since_ms, whole


def tasks_of(
    kafka: KafkaTopics, partitions: Sequence[int], catalog_path: Path, catalog_ms: Mapping[int, int], kept: Kept
) -> list[StatesTask]:
    """A task for each of these partitions that has an entry."""
    booked = kafka.positions(LEDGERS.id, LEDGER, partitions)  # before the states: what lies before it is in them
    return [
        StatesTask(number, booked[number], catalog_path, catalog_ms, kept.expiries.get(number, {}))
        for number in partitions
        if (LEDGER, number) in kept.begins
    ]
