"""What the audit reads whole before anything else: the meter's position, pages, quarantine and the catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenmeter.audit import catalog
from tokenmeter.audit.blocks import Block
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.sources import KafkaTopics
from tokenmeter.events import wire
from tokenmeter.events.contract import CATALOG, EVENTS, GROWTH, PAGES, QUARANTINE, RELEASED
from tokenmeter.events.errors import Poison
from tokenmeter.events.groups import METER
from tokenmeter.events.growth import Growth, finished, growths


@dataclass
class Small:
    """Pages and quarantine by partition, the catalog, and where each topic ends."""

    committed: dict[int, int] = field(default_factory=dict)
    pages: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    page_values: dict[int, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    quarantine: dict[int, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    catalog: catalog.Values = field(default_factory=list)
    catalog_end: int = 0
    catalog_ms: dict[int, int] = field(default_factory=dict)
    """When each row of the catalog was written, by offset."""
    foreign: list[Foreign] = field(default_factory=list)
    growths: Sequence[Growth] = ()
    """How usage.events has grown."""


def read_small(kafka: KafkaTopics, wanted: Sequence[int]) -> Small:
    """The meter's position before its pages, so that the pages must reach it; the catalog after them."""
    found = Small()
    for number in wanted:
        found.committed[number] = kafka.committed(METER.id, EVENTS, number)
    for topic, record in ((PAGES, "page"), (QUARANTINE, "quarantined_event")):
        for partition in kafka.partitions(topic):
            if topic == PAGES and partition not in wanted:
                continue
            for block in kafka.read(topic, partition):
                found.ends[topic, partition] = int(block.offsets[-1])
                for value, offset in zip(block.values, block.offsets.tolist(), strict=True):
                    try:
                        one = wire.decode(value, expect=record).record
                    except Poison as poison:
                        found.foreign.append(Foreign(topic, partition, offset, record, poison.reason))
                        continue
                    if topic == PAGES:
                        found.pages[partition].append(one)
                        found.page_values[partition][one["first_offset"]] = value or b""
                    elif one["partition"] in wanted and one["reason"] != RELEASED:
                        # A released event is judged where it was sent again.
                        found.quarantine[one["partition"]].append((one["offset"], one["reason"]))
    for offsets in found.quarantine.values():
        offsets.sort()
    if kafka.has(GROWTH):
        grown = [value for block in kafka.read(GROWTH, 0) for value in block.values]
        found.growths = finished(growths(grown))
    kafka.partitions(CATALOG)

    def dated(blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            found.catalog_ms.update(zip(block.offsets.tolist(), block.appended_at_ms.tolist(), strict=True))
            yield block

    found.catalog, bad = catalog.judged(dated(kafka.read(CATALOG, 0)))
    found.catalog_end = kafka.log_end(CATALOG, 0)
    found.foreign += bad
    return found
